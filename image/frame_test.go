package image

import (
	"archive/tar"
	"bytes"
	"context"
	"testing"

	"golang.org/x/sys/unix"
)

// An archive is made again from its frame and the files, to the last byte.
func TestRebuild(t *testing.T) {
	big := string(bytes.Repeat([]byte("0123456789abcdef"), 20000))
	plain := archive(t, entry{name: "./", kind: tar.TypeDir}, entry{name: "dir/", kind: tar.TypeDir}, entry{name: "dir/file", kind: tar.TypeReg, body: big},
		entry{name: "empty", kind: tar.TypeReg}, entry{name: "link", kind: tar.TypeSymlink, link: "dir"}, entry{name: "link/through", kind: tar.TypeReg, body: "through"},
		entry{name: "hard", kind: tar.TypeLink, link: "dir/file"}, entry{name: ".wh.gone", kind: tar.TypeReg}, entry{name: "odd", kind: tar.TypeReg, body: "x", mode: 0o4711},
		entry{name: "dev", kind: tar.TypeChar})
	for what, text := range map[string][]byte{"plain": plain, "padded": append(bytes.Clone(plain), make([]byte, 9000)...), "with a rest": append(bytes.Clone(plain), "rest"...)} {
		frame, root, framed := framedLayer(t, text)
		if !framed {
			t.Fatalf("%s: no frame", what)
		}
		if len(frame) > len(big)/4 {
			t.Errorf("%s: a frame of %d bytes", what, len(frame))
		}
		var again bytes.Buffer
		if err := Rebuild(context.Background(), &again, bytes.NewReader(frame), root); err != nil || !bytes.Equal(again.Bytes(), text) {
			t.Errorf("%s: %v; %d bytes of %d", what, err, again.Len(), len(text))
		}
	}
}

// Two files of one name: the first one's content is gone.
func TestRebuildLost(t *testing.T) {
	if _, _, framed := framedLayer(t, archive(t, entry{name: "f", kind: tar.TypeReg, body: "one"}, entry{name: "f", kind: tar.TypeReg, body: "two"})); framed {
		t.Error("a frame that cannot be right")
	}
}

func framedLayer(t *testing.T, text []byte) (frame []byte, root int, framed bool) {
	t.Helper()
	root, err := unix.Open(t.TempDir(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(root) })
	var b bytes.Buffer
	if _, _, err := Unpack(context.Background(), root, bytes.NewReader(text), UnpackOptions{SingleID: true, Frame: &b, Framed: &framed}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), root, framed
}
