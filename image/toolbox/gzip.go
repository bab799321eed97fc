package toolbox

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// packer is gzip, with what its name or its letters say.
type packer struct {
	tool    string
	letters string
	level   int
}

func (p packer) has(letter string) bool { return strings.Contains(p.letters, letter) }

// gzipTool is gzip by its name, gunzip or zcat with letters of their own.
func gzipTool(tool, letters string) applet {
	return func(std stdio, args []string) error {
		given, names := operands(args)
		p := packer{tool, letters + given, gzip.DefaultCompression}
		if err := unknown(p.letters, "cdfknqtv123456789", tool+" [-cdfkqtv] [-1 to -9] [FILE...]"); err != nil {
			return err
		}
		for level := gzip.BestSpeed; level <= gzip.BestCompression; level++ {
			if p.has(fmt.Sprint(level)) {
				p.level = level
			}
		}
		if len(names) == 0 {
			names = []string{"-"}
		}
		return each(std, tool, names, func(name string) error { return p.file(std, name) })
	}
}

// file packs or unpacks one. It goes when its place was taken by the other.
func (p packer) file(std stdio, name string) error {
	if name == "-" {
		return p.stream(std, std.in)
	}
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err == nil && info.IsDir() {
		err = unix.EISDIR
	}
	if err != nil {
		return err
	}
	if p.has("c") || p.has("t") {
		return p.stream(std, in)
	}
	other, packed := strings.CutSuffix(name, ".gz")
	switch {
	case packed && !p.has("d"):
		return errors.New("already has the suffix .gz")
	case !packed && p.has("d"):
		return errors.New("unknown suffix")
	case !p.has("d"):
		other += ".gz"
	}
	how := os.O_EXCL
	if p.has("f") {
		how = os.O_TRUNC
	}
	out, err := os.OpenFile(other, os.O_WRONLY|os.O_CREATE|how, info.Mode().Perm())
	if err != nil {
		return fmt.Errorf("%s: %w", other, err)
	}
	if err := errors.Join(p.convert(out, in), out.Close()); err != nil {
		return errors.Join(err, os.Remove(other))
	}
	if p.has("v") {
		fmt.Fprintf(std.err, "%s to %s\n", name, other)
	}
	if p.has("k") {
		return nil
	}
	return os.Remove(name)
}

// stream is to standard output, or of -t to nowhere.
func (p packer) stream(std stdio, in io.Reader) error {
	out := std.out
	if p.has("t") {
		out = io.Discard
	} else if f, ok := out.(*os.File); ok && !p.has("d") && !p.has("f") && term.IsTerminal(int(f.Fd())) {
		return errors.New("what is compressed is not written to a terminal (use -f)")
	}
	return p.convert(out, in)
}

func (p packer) convert(out io.Writer, in io.Reader) error {
	if p.has("d") || p.has("t") {
		z, err := gzip.NewReader(in)
		if err == nil {
			_, err = io.Copy(out, z)
		}
		return err
	}
	z, err := gzip.NewWriterLevel(out, p.level)
	if err != nil {
		return err
	}
	_, err = io.Copy(z, in)
	return errors.Join(err, z.Close())
}
