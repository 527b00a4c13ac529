//! One case of the vectors that `spec/vectors/manifests_and_keys.py` wrote.

use serde_json::Value;

pub struct Case(Value);

/// All cases of a file; at least `at_least`, so that an empty file fails.
pub fn cases(json: &str, at_least: usize) -> Vec<Case> {
    let mut file: Value = serde_json::from_str(json).unwrap();
    let cases: Vec<Case> = file["cases"].as_array_mut().unwrap().drain(..).map(Case).collect();
    assert!(cases.len() >= at_least, "{} cases", cases.len());
    cases
}

impl Case {
    pub fn name(&self) -> &str {
        self.0["name"].as_str().unwrap()
    }

    pub fn ok(&self) -> bool {
        match self.0["expect"].as_str().unwrap() {
            "ok" => true,
            "error" => false,
            other => panic!("expect `{other}`"),
        }
    }

    pub fn value(&self, field: &str) -> &Value {
        let value = &self.0[field];
        assert!(!value.is_null(), "{}: no `{field}`", self.name());
        value
    }

    pub fn has(&self, field: &str) -> bool {
        !self.0[field].is_null()
    }

    /// The number of the suite.
    pub fn suite(&self) -> u16 {
        self.value("suite").as_u64().unwrap().try_into().unwrap()
    }

    pub fn bytes(&self, field: &str) -> Vec<u8> {
        unhex(self.value(field))
    }

    pub fn array<const N: usize>(&self, field: &str) -> [u8; N] {
        self.bytes(field).try_into().unwrap()
    }
}

pub fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}
