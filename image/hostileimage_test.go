package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
)

// files of an archive of images; "-> x" is a symbolic link to x, "=> x" a hard
// one, "|" a fifo.
type files map[string]string

func (f files) tar(t testing.TB) []byte {
	t.Helper()
	var list []entry
	for name, text := range f {
		e := entry{name: name, kind: tar.TypeReg, body: text}
		if to, ok := strings.CutPrefix(text, "-> "); ok {
			e = entry{name: name, kind: tar.TypeSymlink, link: to}
		} else if to, ok := strings.CutPrefix(text, "=> "); ok {
			e = entry{name: name, kind: tar.TypeLink, link: to}
		} else if text == "|" {
			e = entry{name: name, kind: tar.TypeFifo}
		}
		list = append(list, e)
	}
	return archive(t, list...)
}

func (f files) write(t testing.TB, dir string) {
	t.Helper()
	for name, text := range f {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if to, ok := strings.CutPrefix(text, "-> "); ok && err == nil {
			err = os.Symlink(to, path)
		} else if text == "|" && err == nil {
			err = unix.Mkfifo(path, 0o644)
		} else if err == nil {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// read parses an archive as far as it goes before the store is opened.
func (f files) read(t testing.TB, asDir bool) (list []*archived, err error) {
	t.Helper()
	base := world(t)
	o := LoadOptions{Dirs: storage.Dirs{Data: filepath.Join(base, "layer")}}
	if asDir {
		o.Dir = filepath.Join(base, "layer")
		f.write(t, o.Dir)
	} else {
		o.File = temporary(t, bytes.NewReader(f.tar(t)))
	}
	before, open := snapshot(t, base), descriptors(t)
	a, err := openSource(o)
	if err == nil {
		list, err = a.images()
		for _, img := range list { // as a load does
			for _, l := range img.layers {
				if layer, layerErr := img.LayerByDigest(l.Digest); layerErr != nil {
					err = layerErr
				} else if body, bodyErr := layer.Compressed(); bodyErr == nil {
					_, _ = io.Copy(io.Discard, body)
				}
			}
		}
		a.close()
	}
	if after := snapshot(t, base); !maps.Equal(before, after) {
		t.Errorf("outside it was\n%v\nand is\n%v", before, after)
	}
	if now := descriptors(t); now > open {
		t.Errorf("%d descriptors are left open", now-open)
	}
	return list, err
}

func temporary(t testing.TB, r io.Reader) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "archive"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if _, err := io.Copy(file, r); err != nil {
		t.Fatal(err)
	}
	return file
}

var emptyLayer = strings.Repeat("\x00", 1024)

func sum(text string) string { return digest.FromString(text).String() }

func blobPath(text string) string { return "blobs/sha256/" + digest.FromString(text).Encoded() }

func configOf(diffs ...string) string {
	return `{"architecture":"` + hostPlatform().Architecture + `","os":"linux","rootfs":{"type":"layers","diff_ids":["` + strings.Join(diffs, `","`) + `"]}}`
}

// docker is an archive of docker's with one image.
func docker(config, layer string, layers ...string) files {
	return files{"c.json": config, "l/layer.tar": layer, "manifest.json": fmt.Sprintf(`[{"Config":"c.json","RepoTags":["x:1"],"Layers":["%s"]}]`, strings.Join(layers, `","`))}
}

func with(f files, name, text string) files {
	f[name] = text
	return f
}

// layout is an OCI layout whose index has what manifest is.
func layout(kind, manifest string, blobs ...string) files {
	f := files{"oci-layout": `{"imageLayoutVersion":"1.0.0"}`, blobPath(manifest): manifest,
		"index.json": fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`, kind, sum(manifest), len(manifest))}
	for _, text := range blobs {
		f[blobPath(text)] = text
	}
	return f
}

const ociManifest, ociIndex = imagespec.MediaTypeImageManifest, imagespec.MediaTypeImageIndex

// manifestOf has what follows the configuration's descriptor as it is given.
func manifestOf(config, more string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":%q,"digest":%q,"size":%d},%s}`, imagespec.MediaTypeImageConfig, sum(config), len(config), more)
}

func layersOf(digest string, size int64) string {
	return fmt.Sprintf(`"layers":[{"mediaType":%q,"digest":%q,"size":%d}]`, imagespec.MediaTypeImageLayer, digest, size)
}

func indexOf(text string) string {
	kind := ociManifest
	if strings.Contains(text, `"manifests"`) {
		kind = ociIndex
	}
	return fmt.Sprintf(`{"schemaVersion":2,"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`, kind, sum(text), len(text))
}

func hostileArchives() map[string]struct {
	files files
	want  string // of the error; "" is none
} {
	one := configOf(sum(emptyLayer))
	good := manifestOf(one, layersOf(sum(emptyLayer), 1024))
	deep := []string{good}
	for range 4 {
		deep = append(deep, indexOf(deep[len(deep)-1]))
	}
	type hostile = struct {
		files files
		want  string
	}
	return map[string]hostile{
		"docker":                    {docker(one, emptyLayer, "l/layer.tar"), ""},
		"docker, layer by a link":   {with(docker(one, emptyLayer, "m/layer.tar"), "m/layer.tar", "-> ../l/layer.tar"), ""},
		"layer outside":             {docker(one, emptyLayer, "../outside/kept"), "outside/kept"},
		"layer of the host":         {docker(one, emptyLayer, "/etc/passwd"), "etc/passwd"},
		"layer by a link outside":   {with(docker(one, emptyLayer, "m"), "m", "-> ../outside/kept"), "outside/kept"},
		"layer by a link to itself": {with(docker(one, emptyLayer, "m"), "m", "-> m"), "too many links"},
		"configuration outside":     {with(docker(one, emptyLayer, "l/layer.tar"), "manifest.json", `[{"Config":"../outside/kept","Layers":["l/layer.tar"]}]`), "outside/kept"},
		"configuration is a fifo":   {with(docker(one, emptyLayer, "l/layer.tar"), "c.json", "|"), "c.json"},
		"manifest.json by a link":   {with(docker(one, emptyLayer, "l/layer.tar"), "manifest.json", "-> /etc/passwd"), "passwd"},
		"short diff id":             {docker(configOf("sha256:12"), emptyLayer, "l/layer.tar"), "diff id"},
		"unknown algorithm":         {docker(configOf("md5:d41d8cd98f00b204e9800998ecf8427e"), emptyLayer, "l/layer.tar"), "unsupported digest algorithm"},
		"diff id with a path":       {docker(configOf("sha256:../../../../etc"), emptyLayer, "l/layer.tar"), "diff id"},
		"more layers than diff ids": {docker(one, emptyLayer, "l/layer.tar", "l/layer.tar"), "2 layers, the configuration 1"},
		"too many layers":           {docker(configOf(strings.Split(strings.Repeat(sum(emptyLayer)+" ", 2049)[:2049*72-1], " ")...), emptyLayer, strings.Split(strings.Repeat("l/layer.tar ", 2049)[:2049*12-1], " ")...), "2049 layers, at most 2048"},
		"large manifest.json":       {files{"manifest.json": strings.Repeat(" ", 5<<20)}, "at most 4194304"},
		"large configuration":       {docker(strings.Repeat(" ", 5<<20), emptyLayer, "l/layer.tar"), "at most 4194304"},
		"one image very often":      {files{"c.json": one[:len(one)-1] + `,"comment":"` + strings.Repeat("x", 1<<20) + `"}`, "l": emptyLayer, "manifest.json": "[" + strings.Repeat(`{"Config":"c.json","Layers":["l"]},`, 200) + `{"Config":"c.json","Layers":["l"]}]`}, "67108864 bytes that are taken"},
		"hostile tag":               {with(docker(one, emptyLayer, "l/layer.tar"), "manifest.json", `[{"Config":"c.json","RepoTags":["../../x\u001b:1"],"Layers":["l/layer.tar"]}]`), "../../x"},
		"no JSON":                   {files{"manifest.json": "[[[["}, "manifest.json"},
		"deep JSON":                 {files{"manifest.json": strings.Repeat("[", 100000)}, "manifest.json"},

		"layout":                     {layout(ociManifest, good, one, emptyLayer), ""},
		"layout, index of an index":  {layout(ociIndex, deep[2], append(deep, one, emptyLayer)...), ""},
		"index of many indexes":      {layout(ociIndex, deep[4], append(deep, one, emptyLayer)...), "no image for this machine"},
		"index entry with a path":    {files{"index.json": `{"manifests":[{"digest":"sha256:../../../etc/passwd"}]}`}, "invalid checksum digest"},
		"blob that is missing":       {layout(ociManifest, good), "no such file|not exist"},
		"blob of another digest":     {with(layout(ociManifest, good, one, emptyLayer), blobPath(one), "{}"), "has another digest"},
		"blob is a link outside":     {with(layout(ociManifest, good, emptyLayer), blobPath(one), "-> ../../../outside/kept"), "escapes|not exist"},
		"blob is a link to the host": {with(layout(ociManifest, good, emptyLayer), blobPath(one), "-> /dev/zero"), "escapes|not exist"},
		"blob is a fifo":             {with(layout(ociManifest, good, emptyLayer), blobPath(one), "|"), "no file|not exist"},
		"layer is a link outside":    {with(layout(ociManifest, good, one), blobPath(emptyLayer), "-> /etc/passwd"), "escapes|not exist"},
		"layer digest with a path":   {layout(ociManifest, manifestOf(one, layersOf("sha256:../../../outside/kept", 1)), one), "invalid checksum digest"},
		"layer of a negative size":   {layout(ociManifest, manifestOf(one, layersOf(sum(emptyLayer), -1)), one, emptyLayer), "-1 bytes"},
		"too many layers, layout":    {layout(ociManifest, manifestOf(one, `"layers":[`+strings.Repeat("{},", 2048)+"{}]"), one), "2049 layers, at most 2048"},
		"manifest and index":         {layout(ociManifest, manifestOf(one, layersOf(sum(emptyLayer), 1024)+`,"manifests":[]`), one, emptyLayer), "an index, too"},
		"index and manifest":         {layout(ociIndex, strings.Replace(indexOf(good), "{", `{"layers":[],`, 1), good, one, emptyLayer), "a manifest of an image, too"},
		"index called a manifest":    {layout(ociManifest, indexOf(good), good, one, emptyLayer), "an index, too"},
		"manifest called an index":   {layout(ociIndex, good, one, emptyLayer), "a manifest of an image, too"},
		"another type":               {layout(ociManifest, manifestOf(one, layersOf(sum(emptyLayer), 1024)+`,"mediaType":"`+ociIndex+`"`), one, emptyLayer), "is of type"},
		"schema 1":                   {layout("application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1,"fsLayers":[]}`), "schema 1"},
		"artifact":                   {layout(ociManifest, `{"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json"},"layers":[]}`), "artifact"},
		"empty":                      {files{"x": ""}, "neither manifest.json nor index.json"},
	}
}

func TestHostileArchives(t *testing.T) {
	for name, c := range hostileArchives() {
		for form, asDir := range map[string]bool{"archive": false, "dir": true} {
			if asDir && c.files["manifest.json"] != "" {
				continue // docker's form is none of a directory
			}
			t.Run(name+","+form, func(t *testing.T) {
				list, err := c.files.read(t, asDir)
				if c.want == "" {
					if err != nil || len(list) != 1 {
						t.Errorf("%d images, %v", len(list), err)
					}
					return
				}
				found := false
				for _, want := range strings.Split(c.want, "|") {
					found = found || err != nil && strings.Contains(err.Error(), want)
				}
				if !found || strings.ContainsRune(err.Error(), 0x1b) || len(err.Error()) > 1000 {
					t.Errorf("error %.300v, want %q", err, c.want)
				}
			})
		}
	}
}

// An archive of very many entries is refused while it is read.
func TestArchiveOfManyEntries(t *testing.T) {
	r, w := io.Pipe()
	go func() {
		out := bufio.NewWriterSize(w, 1<<20)
		for n := range maxNames / 64 {
			_, _ = out.Write(header(fmt.Sprint(n), '0', "00000000000\x00"))
		}
		w.CloseWithError(out.Flush())
	}()
	if _, err := openArchive(temporary(t, r), storage.Dirs{Data: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "too many for an archive of images") {
		t.Errorf("error: %v", err)
	}
}

// FuzzArchive: what is no archive of images is an error, and nothing else.
func FuzzArchive(f *testing.F) {
	for _, c := range hostileArchives() {
		if text := c.files.tar(f); len(text) < 64<<10 {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		base := world(t)
		before, open := snapshot(t, base), descriptors(t)
		file := temporary(t, bytes.NewReader(text))
		if a, err := openArchive(file, storage.Dirs{Data: filepath.Join(base, "layer")}); err == nil {
			_, _ = a.images()
			a.close()
		}
		file.Close()
		if after := snapshot(t, base); !maps.Equal(before, after) {
			t.Errorf("outside it was\n%v\nand is\n%v", before, after)
		}
		if now := descriptors(t); now > open {
			t.Errorf("%d descriptors are left open", now-open)
		}
	})
}

// answers is a registry that gives one manifest, and blobs.
func answers(t *testing.T, kind string, manifest io.Reader, blobs ...string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/manifests/latest") {
			w.Header().Set("Content-Type", kind)
			_, _ = io.Copy(w, manifest)
			return
		}
		for _, text := range blobs {
			if strings.HasSuffix(r.URL.Path, sum(text)) {
				w.Header().Set("Content-Type", kind)
				_, _ = io.WriteString(w, text)
				return
			}
		}
		if r.URL.Path != "/v2/" {
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// What a registry can say instead of an image, each with its refusal; none of
// it opens the store, which is nowhere here.
func TestHostileRegistry(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	one := configOf(sum(emptyLayer))
	good := manifestOf(one, layersOf(sum(emptyLayer), 1024))
	windows := strings.Replace(one, `"linux"`, `"windows"`, 1)
	large := fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[]}`, imagespec.MediaTypeImageConfig, sum(one), 1<<40)
	for name, c := range map[string]struct {
		kind     string
		manifest io.Reader
		blobs    []string
		want     string
	}{
		"endless manifest":       {ociManifest, endless{[]byte(" ")}, nil, "longer than the 4194304 bytes"},
		"endless index":          {ociIndex, endless{[]byte(" ")}, nil, "longer than the 4194304 bytes"},
		"schema 1":               {"application/vnd.docker.distribution.manifest.v1+prettyjws", strings.NewReader(`{"schemaVersion":1}`), nil, "manifest schema 1"},
		"schema 1, other type":   {ociManifest, strings.NewReader(`{"schemaVersion":1,"fsLayers":[]}`), nil, "manifest schema 1"},
		"manifest and index":     {ociManifest, strings.NewReader(strings.Replace(good, "{", `{"manifests":[],`, 1)), nil, "an index, too"},
		"index and manifest":     {ociIndex, strings.NewReader(strings.Replace(indexOf(good), "{", `{"layers":[],`, 1)), []string{good}, "a manifest of an image, too"},
		"index called manifest":  {ociManifest, strings.NewReader(indexOf(good)), []string{good}, "an index, too"},
		"manifest called index":  {ociIndex, strings.NewReader(good), []string{one}, "a manifest of an image, too"},
		"large configuration":    {ociManifest, strings.NewReader(large), []string{one}, "at most 4194304"},
		"unbounded config":       {ociManifest, strings.NewReader(strings.Replace(large, "1099511627776", "-1", 1)), []string{one}, "-1 bytes"},
		"negative layer":         {ociManifest, strings.NewReader(manifestOf(one, layersOf(sum(emptyLayer), -1))), []string{one}, "-1 bytes"},
		"too many layers":        {ociManifest, strings.NewReader(manifestOf(one, `"layers":[`+strings.Repeat("{},", 2048)+"{}]")), []string{one}, "2049 layers"},
		"layer with a path":      {ociManifest, strings.NewReader(manifestOf(one, layersOf("sha256:../../../../etc/passwd", 1))), []string{one}, "hash"},
		"layer, short digest":    {ociManifest, strings.NewReader(manifestOf(one, layersOf("sha256:12", 1))), []string{one}, "hex digits"},
		"layer, other algorithm": {ociManifest, strings.NewReader(manifestOf(one, layersOf("md5:d41d8cd98f00b204e9800998ecf8427e", 1))), []string{one}, "hash"},
		"configuration changed":  {ociManifest, strings.NewReader(manifestOf("{}", layersOf(sum(emptyLayer), 1))), []string{one}, "404"},
		"diff id with a path":    {ociManifest, strings.NewReader(manifestOf(configOf("sha256:../../x"), layersOf(sum(emptyLayer), 1))), []string{configOf("sha256:../../x")}, "diff id"},
		"another system":         {ociManifest, strings.NewReader(manifestOf(windows, layersOf(sum(emptyLayer), 1))), []string{windows}, "the image is for platform windows/"},
		"artifact":               {ociManifest, strings.NewReader(`{"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json"},"layers":[]}`), nil, "artifact"},
		"no JSON":                {ociManifest, strings.NewReader("<html>"), nil, "manifest"},
		"nothing":                {ociManifest, strings.NewReader(""), nil, "manifest"},
		"JSON's null":            {ociManifest, strings.NewReader("null"), nil, "configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			server := answers(t, c.kind, c.manifest, c.blobs...)
			o := PullOptions{Ref: "x", Progress: silent{}}
			e := Endpoint{Name: strings.TrimPrefix(server.URL, "http://") + "/x", Insecure: true}
			ref := Reference{Registry: "r.example", Repository: "x", Tag: "latest"}
			desc, err := o.manifest(context.Background(), e, ref)
			if err == nil {
				_, err = fetch(context.Background(), o, e, ref, desc)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error: %v, want %q", err, c.want)
			}
		})
	}
}
