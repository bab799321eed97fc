package main

import (
	"archive/tar"
	"bytes"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// whiteoutLayer deletes /etc/os-release and what is in /var/www, as image layers say it: a file .wh.NAME hides NAME, and .wh..wh..opq in
// a directory hides all that the layers below have in it.
func whiteoutLayer() (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	headers := []*tar.Header{
		{Name: "etc/.wh.os-release", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "var/www/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "var/www/.wh..wh..opq", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "var/www/new.html", Typeflag: tar.TypeReg, Mode: 0o600, Uid: 82, Gid: 82},
		{Name: "var/www/hard.html", Typeflag: tar.TypeLink, Linkname: "var/www/new.html"},
		// A symlink of this very layer as parent of a later entry: it must resolve inside the image, never on the host.
		{Name: "trap", Typeflag: tar.TypeSymlink, Linkname: "/tmp"},
		{Name: "trap/rl-escaped", Typeflag: tar.TypeReg, Mode: 0o644},
	}
	for _, h := range headers {
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil }
	return tarball.LayerFromOpener(open)
}
