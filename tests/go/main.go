// Verifies an exported Strongroom log with Go's own transparency-log code; it shares nothing with ours.
//
//	verify FOLDER VKEY [OLDER_CHECKPOINT]
//
// It re-derives every hash: entry -> leaf, every tile, the root; checks the Ed25519 signature; and, given an older
// checkpoint, that the log continues it. Go's note package knows Ed25519 only, so the ML-DSA line is skipped here, as
// the signed-note specification tells verifiers to.
//
// Exit codes: 0 verified, 2 usage, 3 checkpoint or signature, 4 tile, entry or root, 5 not a continuation.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	usage     = 2
	signature = 3
	tree      = 4
	fork      = 5
)

func main() {
	if len(os.Args) != 3 && len(os.Args) != 4 {
		fail(usage, "usage: verify FOLDER VKEY [OLDER_CHECKPOINT]")
	}
	folder, vkey := os.Args[1], os.Args[2]
	verifier, err := note.NewVerifier(vkey)
	check(usage, err)
	head := open(filepath.Join(folder, "checkpoint"), verifier)
	hashes := entries(folder, head.N)
	root, err := tlog.TreeHash(head.N, hashes)
	check(tree, err)
	if root != head.Hash {
		fail(tree, "the entries do not give the signed root")
	}
	count := tiles(folder, head.N, hashes)
	if len(os.Args) == 4 {
		continues(open(os.Args[3], verifier), head, hashes)
	}
	fmt.Printf("verified %d entries, %d tiles, root %v\n", head.N, count, root)
}

// open reads a checkpoint and checks its signature.
func open(path string, verifier note.Verifier) tlog.Tree {
	signed, err := os.ReadFile(path)
	check(signature, err)
	opened, err := note.Open(signed, note.VerifierList(verifier))
	check(signature, err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != verifier.Name() {
		fail(signature, "not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(signature, err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check(signature, err)
	if len(root) != tlog.HashSize || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		fail(signature, "not a checkpoint")
	}
	head := tlog.Tree{N: size}
	copy(head.Hash[:], root)
	return head
}

// stored is a tlog.HashReader over all hashes of a tree.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= int64(len(s)) {
			return nil, fmt.Errorf("no stored hash %d", index)
		}
		out[i] = s[index]
	}
	return out, nil
}

// entries reads every bundle and derives all stored hashes of the tree from the entries alone.
func entries(folder string, size int64) stored {
	var hashes stored
	for n := int64(0); n < size; {
		width := size - n
		if width > 256 {
			width = 256
		}
		data := read(folder, "tile/entries/"+number(n/256, width))
		for i := int64(0); i < width; i++ {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				fail(tree, fmt.Sprintf("entry %d is cut", n))
			}
			length := int(binary.BigEndian.Uint16(data))
			added, err := tlog.StoredHashes(n, data[2:2+length], hashes)
			check(tree, err)
			hashes = append(hashes, added...)
			data = data[2+length:]
			n++
		}
		if len(data) != 0 {
			fail(tree, "a bundle with trailing bytes")
		}
	}
	return hashes
}

// tiles compares every tile of the tree with the one derived from the entries.
func tiles(folder string, size int64, hashes stored) int {
	count := 0
	for level := 0; size>>(8*level) > 0; level++ {
		for n, left := int64(0), size>>(8*level); left > 0; n, left = n+1, left-256 {
			width := left
			if width > 256 {
				width = 256
			}
			tile := tlog.Tile{H: 8, L: level, N: n, W: int(width)}
			want, err := tlog.ReadTileData(tile, hashes)
			check(tree, err)
			path := fmt.Sprintf("tile/%d/%s", level, number(n, width))
			if !bytes.Equal(read(folder, path), want) {
				fail(tree, path+" is not the tile that the entries give")
			}
			count++
		}
	}
	return count
}

// continues checks that the log continues an older tree.
func continues(older, newer tlog.Tree, hashes stored) {
	if older.N > newer.N {
		fail(fork, "the log is smaller than the older checkpoint")
	}
	if older.N == 0 {
		return
	}
	proof, err := tlog.ProveTree(newer.N, older.N, hashes)
	check(fork, err)
	check(fork, tlog.CheckTree(proof, newer.N, newer.Hash, older.N, older.Hash))
}

// number is the tail of a path: the index in groups of three digits, and the width of a partial tile.
func number(n, width int64) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if width != 256 {
		path = fmt.Sprintf("%s.p/%d", path, width)
	}
	return path
}

func read(folder, path string) []byte {
	data, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(path)))
	check(tree, err)
	return data
}

func check(code int, err error) {
	if err != nil {
		fail(code, err.Error())
	}
}

func fail(code int, why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(code)
}
