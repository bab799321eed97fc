package toolbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/u-root/u-root/pkg/core"
	"github.com/u-root/u-root/pkg/core/cp"
	"github.com/u-root/u-root/pkg/core/ls"
	"golang.org/x/sys/unix"
)

// operands splits the words of a tool into its letters and what follows them.
func operands(args []string) (letters string, names []string) {
	for n, arg := range args {
		switch {
		case arg == "--":
			return letters, args[n+1:]
		case len(arg) < 2 || arg[0] != '-':
			return letters, args[n:]
		}
		letters += arg[1:]
	}
	return letters, nil
}

// unknown refuses letters that a tool does not have.
func unknown(letters, known, usage string) error {
	if strings.Trim(letters, known) != "" {
		return usageError(usage)
	}
	return nil
}

// each does something to all names, also after one for which it failed.
func each(std stdio, tool string, names []string, do func(name string) error) (failed error) {
	for _, name := range names {
		if err := do(name); err != nil {
			complain(std, tool, name, err)
			failed = status(1)
		}
	}
	return failed
}

// complain is in busybox's words: what failed is plain, and Go says the name again.
func complain(std stdio, tool, name string, err error) {
	text := err.Error()
	var errno unix.Errno
	if errors.As(err, &errno) {
		text = errno.Error()
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	fmt.Fprintf(std.err, "%s: %s: %s\n", tool, name, text)
}

// strict runs a command of u-root that says what failed, and then ends as if
// nothing had.
func strict(make func() core.Command) applet {
	return func(std stdio, args []string) error {
		said := &listener{to: std.err}
		std.err = said
		err := uroot(make)(std, args)
		if err == nil && said.error {
			err = status(1)
		}
		return err
	}
}

// listener knows an error from a question.
type listener struct {
	to    io.Writer
	error bool
}

func (l *listener) Write(text []byte) (int, error) {
	l.error = l.error || !bytes.HasSuffix(text, []byte("? "))
	return l.to.Write(text)
}

// list is u-root's ls, which says on its standard output what it cannot read.
func list(std stdio, args []string) error {
	letters, names := operands(args)
	options := len(args) - len(names)
	if len(names) == 0 {
		names = []string{"."}
	}
	readable := []string{}
	failed := each(std, "ls", names, func(name string) error {
		info, err := os.Lstat(name)
		if err == nil && info.IsDir() && !strings.Contains(letters, "d") {
			err = openable(name)
		}
		if err == nil {
			readable = append(readable, name)
		}
		return err
	})
	if strings.Contains(letters, "R") {
		failed = errors.Join(failed, unreadable(std, readable))
	}
	if len(readable) == 0 {
		return failed
	}
	err := uroot(ls.New)(std, append(slices.Clone(args[:options]), readable...))
	return errors.Join(err, failed)
}

func openable(dir string) error {
	f, err := os.Open(dir)
	if err == nil {
		err = f.Close()
	}
	return err
}

// unreadable names the directories below that cannot be read.
func unreadable(std stdio, names []string) (failed error) {
	for _, name := range names {
		_ = filepath.WalkDir(name, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				return nil
			}
			complain(std, "ls", path, err)
			failed = status(1)
			return fs.SkipDir
		})
	}
	return failed
}

// copyFiles is u-root's cp for one file after the other: of several it tells
// only the last one's error.
func copyFiles(std stdio, args []string) error {
	_, names := operands(args)
	last := len(names) - 1
	if last < 2 {
		return strict(cp.New)(std, args)
	}
	to := names[last]
	if info, err := os.Stat(to); err != nil || !info.IsDir() {
		return strict(cp.New)(std, args)
	}
	var failed error
	for _, from := range names[:last] {
		words := append(slices.Clone(args[:len(args)-len(names)]), from, to)
		if exitCode(std, "cp", strict(cp.New)(std, words)) != 0 {
			failed = status(1)
		}
	}
	return failed
}

// remove is rm.
func remove(std stdio, args []string) error {
	const usage = "rm [-rRfiv] FILE..."
	letters, names := operands(args)
	if err := unknown(letters, "rRfiv", usage); err != nil {
		return err
	}
	force, all := strings.Contains(letters, "f"), strings.ContainsAny(letters, "rR")
	if len(names) == 0 && !force {
		return usageError(usage)
	}
	answers := bufio.NewReader(std.in)
	return each(std, "rm", names, func(name string) error {
		info, err := os.Lstat(name)
		switch {
		case errors.Is(err, unix.ENOENT) && force:
			return nil
		case err != nil:
			return err
		case info.IsDir() && !all:
			return unix.EISDIR
		}
		if strings.Contains(letters, "i") && !force {
			fmt.Fprintf(std.err, "rm: remove '%s'? ", name)
			if answer, _ := answers.ReadString('\n'); !strings.HasPrefix(strings.ToLower(answer), "y") {
				return nil
			}
		}
		if all {
			err = os.RemoveAll(name)
		} else {
			err = unix.Unlink(name)
		}
		if err == nil && strings.Contains(letters, "v") {
			fmt.Fprintf(std.out, "removed '%s'\n", name)
		}
		return err
	})
}

// makeDirs is mkdir.
func makeDirs(std stdio, args []string) error {
	const usage = "mkdir [-pv] [-m MODE] DIRECTORY..."
	mode, given := uint64(0o777), false
	var letters string
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && args[0] != "--" {
		word := args[0][1:]
		args = args[1:]
		before, value, found := strings.Cut(word, "m")
		letters += before
		if !found {
			continue
		}
		if value == "" && len(args) > 0 {
			value, args = args[0], args[1:]
		}
		var err error
		if mode, err = strconv.ParseUint(value, 8, 12); err != nil {
			return usageError(usage)
		}
		given = true
	}
	_, names := operands(args)
	if err := unknown(letters, "pv", usage); err != nil || len(names) == 0 {
		return usageError(usage)
	}
	return each(std, "mkdir", names, func(name string) error {
		err := unix.Mkdir(name, uint32(mode)&0o777)
		if err != nil && strings.Contains(letters, "p") {
			err = os.MkdirAll(name, 0o777)
		}
		if err == nil && given {
			err = unix.Chmod(name, uint32(mode))
		}
		if err == nil && strings.Contains(letters, "v") {
			fmt.Fprintln(std.out, name)
		}
		return err
	})
}
