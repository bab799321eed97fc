package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	chunked "go.podman.io/storage/pkg/chunked/compressor"
)

// TestChunked: layers made to be fetched in parts are layers. zstd:chunked has
// its table in frames that are to be skipped, eStargz in a file of the archive.
func TestChunked(t *testing.T) {
	plain := archive(t, entry{name: "d", kind: tar.TypeDir}, entry{name: "d/a", kind: tar.TypeReg, body: strings.Repeat("a", 300_000)}, entry{name: "b", kind: tar.TypeReg, body: "b"})
	for name, blob := range map[string][]byte{"zstd:chunked": zstdChunked(t, plain), "eStargz": eStargz(t, plain)} {
		r, err := inflate(bytes.NewReader(blob), "")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name == "zstd:chunked" && !bytes.Equal(text, plain) {
			t.Errorf("%s: %d bytes, not the %d that were packed", name, len(text), len(plain))
		}
		root := t.TempDir()
		dir, err := os.Open(root)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Unpack(context.Background(), int(dir.Fd()), bytes.NewReader(text), UnpackOptions{SingleID: true}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		dir.Close()
		for file, want := range map[string]int{"d/a": 300_000, "b": 1} {
			if got, err := os.ReadFile(filepath.Join(root, file)); err != nil || len(got) != want {
				t.Errorf("%s: %s: %d bytes, %v", name, file, len(got), err)
			}
		}
	}
}

func zstdChunked(t *testing.T, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := chunked.ZstdCompressor(&out, map[string]string{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if bytes.Count(out.Bytes(), []byte{0x50, 0x2a, 0x4d, 0x18}) == 0 {
		t.Fatal("there is no skippable frame: not what is to be read")
	}
	return out.Bytes()
}

// eStargz packs as the specification of eStargz has it: each header with its
// content in a member of gzip, then the table, and a member that says where it is.
func eStargz(t *testing.T, plain []byte) []byte {
	t.Helper()
	var out, member bytes.Buffer
	flush := func() {
		w := gzip.NewWriter(&out)
		_, _ = w.Write(member.Bytes())
		w.Close()
		member.Reset()
	}
	w := tar.NewWriter(&member)
	r := tar.NewReader(bytes.NewReader(plain))
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = w.WriteHeader(h)
		}
		if err == nil {
			_, err = io.Copy(w, r)
		}
		if err == nil {
			err = w.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
		flush()
	}
	table, at := []byte(`{"version":1,"entries":[]}`), out.Len()
	if err := w.WriteHeader(&tar.Header{Name: "stargz.index.json", Typeflag: tar.TypeReg, Size: int64(len(table))}); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(table)
	w.Close()
	flush()
	footer, _ := gzip.NewWriterLevel(&out, gzip.NoCompression)
	extra := binary.LittleEndian.AppendUint16([]byte("SG"), 22)
	footer.Extra = fmt.Appendf(extra, "%016xSTARGZ", at)
	footer.Close()
	return out.Bytes()
}
