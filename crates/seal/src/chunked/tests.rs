//! Tests of chunked encryption.
