package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// unpackIn unpacks a layer beside files that must not change, and gives the
// layer's directory.
func unpackIn(t testing.TB, layer []byte) (dir string, err error) {
	t.Helper()
	return unpackWith(t, bytes.NewReader(layer), UnpackOptions{SingleID: true, MaxSize: 1 << 20})
}

func unpackWith(t testing.TB, layer io.Reader, opts UnpackOptions) (dir string, err error) {
	t.Helper()
	base := world(t)
	dir = filepath.Join(base, "layer")
	fd, openErr := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if openErr != nil {
		t.Fatal(openErr)
	}
	defer unix.Close(fd)
	before, files := snapshot(t, base), descriptors(t)
	_, _, err = Unpack(context.Background(), fd, layer, opts)
	if after := snapshot(t, base); !maps.Equal(before, after) {
		t.Errorf("outside of the layer it was\n%v\nand is\n%v", before, after)
	}
	if now := descriptors(t); now > files {
		t.Errorf("%d descriptors are left open", now-files)
	}
	return dir, err
}

// world is a directory with layer, which is empty, and outside, which a layer
// would like to change.
func world(t testing.TB) string {
	t.Helper()
	base := t.TempDir()
	t.Cleanup(func() { _ = removeAt(unix.AT_FDCWD, filepath.Join(base, "layer")) }) // of what mode ever
	err := errors.Join(os.Mkdir(filepath.Join(base, "layer"), 0o755), os.MkdirAll(filepath.Join(base, "outside/sub"), 0o755),
		os.WriteFile(filepath.Join(base, "outside/kept"), []byte("kept"), 0o600),
		os.WriteFile(filepath.Join(base, "outside/sub/deep"), []byte("deep"), 0o644),
		os.Symlink("kept", filepath.Join(base, "outside/link")))
	if err != nil {
		t.Fatal(err)
	}
	return base
}

// snapshot tells all that can be seen of what is around the layer: a change of
// a file's mode, owner, links or attributes changes its ctime.
func snapshot(t testing.TB, base string) map[string]string {
	t.Helper()
	seen := map[string]string{}
	err := filepath.WalkDir(base, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name == filepath.Join(base, "layer") {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		text := fmt.Sprint(st.Ino, info.Mode(), st.Uid, st.Gid, st.Nlink, st.Size, st.Mtim, st.Ctim)
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			text += string(content)
		}
		seen[name] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// hostileLayer is one attempt. It stays inside, with an error that has want, or
// with files in the layer.
type hostileLayer struct {
	name    string
	entries []entry
	want    string            // of the error; "" is none
	inside  map[string]string // content of files afterwards, links followed; "-" is nothing there
}

var hostileLayers = []hostileLayer{
	{name: "parents", entries: []entry{{name: "../outside/kept", kind: tar.TypeReg, body: "x"}, {name: "../../outside/new", kind: tar.TypeReg}}, inside: map[string]string{"outside/kept": "x", "outside/new": ""}},
	{name: "absolute", entries: []entry{{name: "/outside/kept", kind: tar.TypeReg, body: "x"}}, inside: map[string]string{"outside/kept": "x"}},
	{name: "link to outside", entries: []entry{{name: "l", kind: tar.TypeSymlink, link: "../outside"}, {name: "l/kept", kind: tar.TypeReg, body: "x"}}, inside: map[string]string{"outside/kept": "x"}},
	{name: "absolute link", entries: []entry{{name: "l", kind: tar.TypeSymlink, link: "/"}, {name: "l/outside/kept", kind: tar.TypeReg, body: "x"}}, inside: map[string]string{"outside/kept": "x"}},
	{name: "chain of links", entries: []entry{{name: "a", kind: tar.TypeSymlink, link: ".."}, {name: "b", kind: tar.TypeSymlink, link: "a/.."}, {name: "c", kind: tar.TypeSymlink, link: "b/outside"}, {name: "c/kept", kind: tar.TypeReg, body: "x"}}, inside: map[string]string{"outside/kept": "x"}},
	{name: "file over link", entries: []entry{{name: "l", kind: tar.TypeSymlink, link: "../outside/kept"}, {name: "l", kind: tar.TypeReg, body: "x"}}, inside: map[string]string{"l": "x"}},
	{name: "dir over link", entries: []entry{{name: "l", kind: tar.TypeSymlink, link: "../outside"}, {name: "l", kind: tar.TypeDir, mode: 0o700}, {name: "l/kept", kind: tar.TypeReg, body: "x"}}, inside: map[string]string{"l/kept": "x"}},
	{name: "link over dir", entries: []entry{{name: "d/sub", kind: tar.TypeDir}, {name: "d", kind: tar.TypeSymlink, link: "../outside"}, {name: "d/sub/deep", kind: tar.TypeReg, body: "x"}}, inside: map[string]string{"outside/sub/deep": "x"}},
	{name: "file over dir", entries: []entry{{name: "d/sub", kind: tar.TypeDir}, {name: "d", kind: tar.TypeReg, body: "x"}}, inside: map[string]string{"d": "x"}},
	{name: "time of a dir that is a link", entries: []entry{{name: "d", kind: tar.TypeDir}, {name: "d/sub", kind: tar.TypeDir}, {name: "d", kind: tar.TypeSymlink, link: "../outside"}}},
	{name: "loop", entries: []entry{{name: "l", kind: tar.TypeSymlink, link: "l"}, {name: "l/x", kind: tar.TypeReg, body: "x"}}, want: "too many levels of symbolic links"},
	{name: "loop of two", entries: []entry{{name: "a", kind: tar.TypeSymlink, link: "b/c"}, {name: "b", kind: tar.TypeSymlink, link: "a/d"}, {name: "a/x", kind: tar.TypeReg, body: "x"}}, want: "too many levels of symbolic links"},

	{name: "hard link", entries: []entry{{name: "h", kind: tar.TypeLink, link: "../outside/kept"}, {name: "h", kind: tar.TypeReg, body: "x"}}, want: "linking to outside/kept: no such file"},
	{name: "absolute hard link", entries: []entry{{name: "h", kind: tar.TypeLink, link: "/etc/passwd"}}, want: "linking to etc/passwd: no such file"},
	{name: "hard link by a link", entries: []entry{{name: "l", kind: tar.TypeSymlink, link: "../outside"}, {name: "h", kind: tar.TypeLink, link: "l/kept"}}, want: "linking to l/kept: no such file"},
	{name: "hard link of a link", entries: []entry{{name: "l", kind: tar.TypeSymlink, link: "../outside/kept"}, {name: "h", kind: tar.TypeLink, link: "l"}, {name: "h", kind: tar.TypeReg, body: "x"}}, inside: map[string]string{"h": "x"}},
	{name: "hard link of a dir", entries: []entry{{name: "d", kind: tar.TypeDir}, {name: "h", kind: tar.TypeLink, link: "d"}}, want: "not permitted"},
	{name: "hard link of the root", entries: []entry{{name: "h", kind: tar.TypeLink, link: ".."}}, want: "linking to"},
	{name: "hard link of itself", entries: []entry{{name: "h", kind: tar.TypeReg}, {name: "h", kind: tar.TypeLink, link: "h"}}, want: "no such file"},

	{name: "root is a link", entries: []entry{{name: "./", kind: tar.TypeSymlink, link: "../outside"}, {name: "kept", kind: tar.TypeReg}}, want: "root is no directory"},
	{name: "root is a file", entries: []entry{{name: "a/..", kind: tar.TypeReg, body: "x", mode: 0o4777}}, want: "root is no directory"},
	{name: "root is a hard link", entries: []entry{{name: "a/..", kind: tar.TypeLink, link: "../outside/kept"}}, want: "root is no directory"},
	{name: "root is a fifo", entries: []entry{{name: ".", kind: tar.TypeFifo}}, want: "root is no directory"},
	{name: "root is a device", entries: []entry{{name: "..", kind: tar.TypeChar}}, want: "root is no directory"},

	{name: "whiteout by a link", entries: []entry{{name: "l", kind: tar.TypeSymlink, link: "../outside"}, {name: "l/.wh.kept", kind: tar.TypeReg}}},
	{name: "whiteout of a link", entries: []entry{{name: "l", kind: tar.TypeSymlink, link: "../outside/kept"}, {name: ".wh.l", kind: tar.TypeReg}}},
	{name: "whiteout of parents", entries: []entry{{name: ".wh...", kind: tar.TypeReg}, {name: "d/.wh...", kind: tar.TypeReg}, {name: ".wh..", kind: tar.TypeReg}, {name: ".wh.", kind: tar.TypeReg}}, inside: map[string]string{".wh...": "-", ".wh.": "-"}},
	{name: "whiteout of a whiteout", entries: []entry{{name: ".wh..wh.x", kind: tar.TypeReg}, {name: ".wh..wh.plnk", kind: tar.TypeDir}}, inside: map[string]string{".wh.x": "-"}},
	{name: "opaque by a link", entries: []entry{{name: "l", kind: tar.TypeSymlink, link: "../outside"}, {name: "l/.wh..wh..opq", kind: tar.TypeReg}}},
	{name: "opaque root", entries: []entry{{name: ".wh..wh..opq", kind: tar.TypeReg}, {name: "f", kind: tar.TypeReg, body: "x"}}, inside: map[string]string{"f": "x"}},

	{name: "devices", entries: []entry{{name: "null", kind: tar.TypeChar}, {name: "disk", kind: tar.TypeBlock}, {name: "disk", kind: tar.TypeReg, body: "x"}}, inside: map[string]string{"null": "-", "disk": "x"}},
	{name: "long name", entries: []entry{{name: strings.Repeat("n", 300), kind: tar.TypeReg}}, want: "file name too long"},
	{name: "long path", entries: []entry{{name: strings.Repeat("p/", 5000), kind: tar.TypeDir}}, want: "file name too long"},
	{name: "long link", entries: []entry{{name: "l", kind: tar.TypeSymlink, link: strings.Repeat("l", 5000)}}, want: "file name too long"},
	{name: "empty link", entries: []entry{{name: "l", kind: tar.TypeSymlink}}, want: "no such file"},
	{name: "terminal", entries: []entry{{name: "\x1b[2J" + strings.Repeat("n", 300), kind: tar.TypeReg}}, want: `"\x1b[2J`},
	{name: "below a file", entries: []entry{{name: "f", kind: tar.TypeReg}, {name: "f/x", kind: tar.TypeReg}}, want: "not a directory"},

	{name: "forged opaque", entries: []entry{{name: "d", kind: tar.TypeDir, attrs: map[string]string{"user.overlay.opaque": "y", "trusted.overlay.opaque": "y", "trusted.overlay.redirect": "/x", "security.selinux": "x", "user.overlay.redirect": "/etc"}}}},
	{name: "large attribute", entries: []entry{{name: "f", kind: tar.TypeReg, attrs: map[string]string{"user.large": strings.Repeat("x", 70<<10)}}}, want: "setting attribute user.large"},
	{name: "attribute of a long name", entries: []entry{{name: "f", kind: tar.TypeReg, attrs: map[string]string{"user." + strings.Repeat("x", 300): "x"}}}, want: "setting attribute user.xxx"},
	{name: "malformed capability", entries: []entry{{name: "f", kind: tar.TypeReg, attrs: map[string]string{"security.capability": "x"}}}, want: "setting attribute security.capability: invalid argument"},
}

// Layers that would write beside their root (umoci CVE-2021-29136, buildah CVE-2020-10696).
func TestUnpackStaysInside(t *testing.T) {
	for _, c := range hostileLayers {
		for _, plain := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,plain=%v", c.name, plain), func(t *testing.T) {
				dir, err := unpackWith(t, bytes.NewReader(archive(t, c.entries...)), UnpackOptions{SingleID: true, MaxSize: 1 << 20, Plain: plain})
				if plain { // other rules, the same bounds
					return
				}
				checkHostile(t, c, dir, err)
			})
		}
	}
}

func checkHostile(t *testing.T, c hostileLayer, dir string, err error) {
	t.Helper()
	switch {
	case c.want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
		t.Errorf("error %v, want %q", err, c.want)
	case err != nil && (len(err.Error()) > 1000 || strings.ContainsRune(err.Error(), 0x1b)):
		t.Errorf("error of %d bytes: %.300q", len(err.Error()), err.Error())
	}
	root, openErr := os.OpenRoot(dir)
	if openErr != nil {
		t.Fatal(openErr)
	}
	defer root.Close()
	for name, want := range c.inside {
		text, err := root.ReadFile(name)
		if want == "-" && !errors.Is(err, fs.ErrNotExist) || want != "-" && (err != nil || string(text) != want) {
			t.Errorf("%s: %q, %v, want %q", name, text, err, want)
		}
	}
	marked := slices.ContainsFunc(c.entries, func(e entry) bool { return strings.HasPrefix(filepath.Base(e.name), whiteout) })
	checkForged(t, dir, marked)
}

// checkForged: nothing in a layer has an attribute of overlay's that no
// whiteout asked for.
func checkForged(t *testing.T, dir string, marked bool) {
	t.Helper()
	forged := []string{"user.overlay.redirect", "user.overlay.metacopy", "trusted.overlay.redirect", "trusted.overlay.opaque"}
	if !marked {
		forged = append(forged, "user.overlay.opaque")
	}
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		buf := make([]byte, 100)
		for _, attr := range forged {
			if n, err := unix.Lgetxattr(name, attr, buf); err == nil {
				t.Errorf("%s has %s=%q", name, attr, buf[:n])
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// header is one block as ustar has it, for what archive/tar does not write.
func header(name string, kind byte, size string) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	copy(b[124:136], size)
	copy(b[136:], "00000000000\x00        ")
	b[156] = kind
	copy(b[257:], "ustar\x0000")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

func padded(text string) []byte {
	return append([]byte(text), make([]byte, (512-len(text)%512)%512)...)
}

// records is an extended header of the pax form.
func records(pairs ...string) []byte {
	text := ""
	for _, pair := range pairs {
		n := len(pair) + 3
		for len(fmt.Sprint(n))+len(pair)+2 != n {
			n++
		}
		text += fmt.Sprintf("%d %s\n", n, pair)
	}
	return append(header("pax", 'x', fmt.Sprintf("%011o\x00", len(text))), padded(text)...)
}

// sparse is a file that is a hole, in the form 1.0 of GNU tar.
func sparse(name string, size int64) []byte {
	head := records("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name="+name, fmt.Sprintf("GNU.sparse.realsize=%d", size))
	spans := fmt.Sprintf("1\n%d\n0\n", size)
	return append(append(head, header("GNUSparseFile.0/"+name, '0', fmt.Sprintf("%011o\x00", 512))...), padded(spans)...)
}

var rawLayers = map[string]struct {
	layer []byte
	want  string
}{
	"NUL in a name":        {append(header("a\x00/../../outside/kept", '0', "00000000000\x00"), make([]byte, 1024)...), ""},
	"NUL in a pax name":    {append(records("path=../outside\x00/kept"), header("x", '0', "00000000000\x00")...), "invalid tar header"},
	"NUL in a pax link":    {append(records("linkpath=../outside/kept\x00"), header("x", '2', "00000000000\x00")...), "invalid tar header"},
	"negative size":        {header("x", '0', "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "invalid tar header"},
	"size of 2^62":         {header("x", '0', "\x80\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00"), "larger than"},
	"pax size of 2^62":     {append(records("size=4611686018427387904"), header("x", '0', "00000000000\x00")...), "larger than"},
	"pax header of 1 GiB":  {header("pax", 'x', "10000000000\x00"), "unexpected EOF"},
	"malformed pax record": {append(header("pax", 'x', "00000000010\x00"), padded("99 a=b\n.")...), "invalid tar header"},
	"sparse bomb":          {sparse("bomb", 1<<62), "larger than"},
	"unknown type":         {header("x", 'Z', "00000000000\x00"), "unknown type"},
	"nothing but zeros":    {make([]byte, 4096), ""},
	"no archive":           {bytes.Repeat([]byte("no archive"), 100), "invalid tar header"},
}

func TestUnpackRaw(t *testing.T) {
	for name, c := range rawLayers {
		t.Run(name, func(t *testing.T) {
			_, err := unpackIn(t, c.layer)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// A hole is a hole on the disk, too.
func TestUnpackSparse(t *testing.T) {
	const size = 64<<20 + 1
	dir, err := unpackWith(t, bytes.NewReader(append(sparse("f", size), make([]byte, 1024)...)), UnpackOptions{SingleID: true, MaxSize: 128 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "f"), &st); err != nil || st.Size != size || st.Blocks*512 > 1<<20 {
		t.Errorf("%d bytes that take %d on the disk, %v, want %d and hardly any", st.Size, st.Blocks*512, err, size)
	}
}

// endless is an archive, or what follows one, without an end.
type endless struct{ block []byte }

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for len(p)-n >= len(e.block) {
		n += copy(p[n:], e.block)
	}
	if n == 0 {
		return copy(p, e.block[:1]), nil
	}
	return n, nil
}

// A whiteout is for lower layers, whatever this one has of the name and when.
func TestWhiteoutsOfOwn(t *testing.T) {
	for name, c := range map[string]struct {
		entries []entry
		opaque  bool
	}{
		"dir after":         {[]entry{{name: ".wh.d", kind: tar.TypeReg}, {name: "d", kind: tar.TypeDir}, {name: "d/f", kind: tar.TypeReg, body: "x"}}, true},
		"implied dir after": {[]entry{{name: ".wh.d", kind: tar.TypeReg}, {name: "d/f", kind: tar.TypeReg, body: "x"}}, true},
		"dir before":        {[]entry{{name: "d/f", kind: tar.TypeReg, body: "x"}, {name: ".wh.d", kind: tar.TypeReg}}, true},
		"opaque":            {[]entry{{name: "d/f", kind: tar.TypeReg, body: "x"}, {name: "d/.wh..wh..opq", kind: tar.TypeReg}}, true},
		"file before":       {[]entry{{name: "d/f", kind: tar.TypeReg, body: "x"}, {name: "d/.wh.f", kind: tar.TypeReg}}, false},
		"file after":        {[]entry{{name: "d/.wh.f", kind: tar.TypeReg}, {name: "d/f", kind: tar.TypeReg, body: "x"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := unpackIn(t, archive(t, c.entries...))
			text, readErr := os.ReadFile(filepath.Join(dir, "d/f"))
			if err != nil || readErr != nil || string(text) != "x" {
				t.Errorf("%q, %v, %v", text, readErr, err)
			}
			n, err := unix.Lgetxattr(filepath.Join(dir, "d"), "user.overlay.opaque", make([]byte, 10))
			if (err == nil && n == 1) != c.opaque {
				t.Errorf("opaque: %d, %v, want %v", n, err, c.opaque)
			}
		})
	}
}

// CVE-2021-20291: what never ends is not waited for.
func TestUnpackEndless(t *testing.T) {
	for name, r := range map[string]io.Reader{
		"directories": endless{header("d/", '5', "00000000000\x00")},
		"files":       endless{header("f", '0', "00000000000\x00")},
		"global":      endless{header("g", 'g', "00000000000\x00")},
		"tail":        io.MultiReader(bytes.NewReader(archive(t)), endless{make([]byte, 4096)}),
	} {
		t.Run(name, func(t *testing.T) {
			framed := false
			_, err := unpackWith(t, r, UnpackOptions{SingleID: true, MaxSize: 1 << 20, Frame: io.Discard, Framed: &framed})
			if err == nil || !strings.Contains(err.Error(), "longer than the") {
				t.Errorf("error: %v", err)
			}
		})
	}
}

func TestUnpackManyDirectories(t *testing.T) {
	u := unpacker{timed: maxTimes}
	if err := u.later("d", unix.Timespec{}); err == nil || !strings.Contains(err.Error(), "too many directories") {
		t.Errorf("error: %v", err)
	}
}

// FuzzUnpack: whatever an archive says, nothing beside its root changes.
func FuzzUnpack(f *testing.F) {
	for _, c := range hostileLayers {
		f.Add(archive(f, c.entries...))
	}
	for _, c := range rawLayers {
		f.Add(c.layer)
	}
	f.Fuzz(func(t *testing.T, layer []byte) {
		for _, plain := range []bool{false, true} {
			framed := false
			opts := UnpackOptions{SingleID: true, MaxSize: 1 << 20, Plain: plain}
			if !plain {
				opts.Frame, opts.Framed = io.Discard, &framed
			}
			_, err := unpackWith(t, bytes.NewReader(layer), opts)
			if err != nil && strings.ContainsRune(err.Error(), 0x1b) {
				t.Errorf("the terminal obeys %q", err)
			}
		}
	})
}
