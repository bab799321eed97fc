package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"containers/rl/cli/units"
)

// mostUnit is more than any file for a unit has.
const mostUnit = 1 << 20

// readQuadlets reads all files of the directories and those below, with their
// drop-ins. A file that is wrong is not among those to be converted.
func readQuadlets(dirs []string) (q *units.Quadlet, names []string, failed []error) {
	q = &units.Quadlet{Files: map[string]*units.File{}}
	all := quadletDirs(dirs)
	for _, dir := range all {
		entries, err := os.ReadDir(dir)
		if err != nil {
			failed = append(failed, err)
		}
		for _, e := range entries {
			name, kind := e.Name(), filepath.Ext(e.Name())
			path := filepath.Join(dir, name)
			switch {
			case slices.Contains(units.Refused(), kind):
				failed = append(failed, fmt.Errorf("%s: files %s are not supported", path, kind))
			case !slices.Contains(units.Types(), kind) || q.Files[name] != nil:
			default:
				file, err := readQuadlet(all, path)
				if err != nil {
					failed = append(failed, err)
				}
				if q.Files[name] = file; err == nil {
					names = append(names, name)
				}
			}
		}
	}
	return q, names, failed
}

// quadletDirs gives those that are there, and what is below them: not drop-ins,
// and not what is for other users.
func quadletDirs(dirs []string) (all []string) {
	for _, dir := range dirs {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dir = real
		}
		_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.IsDir() {
				return nil // what is not there has no files
			}
			_, number := strconv.Atoi(e.Name())
			if path != dir && (strings.HasSuffix(path, ".d") || filepath.Base(dir) == "users" && number == nil || filepath.Base(dir) == "systemd" && e.Name() == "users") {
				return filepath.SkipDir
			}
			if !slices.Contains(all, path) {
				all = append(all, path)
			}
			return nil
		})
	}
	return all
}

// readQuadlet reads a file and its drop-ins, these by their names.
func readQuadlet(dirs []string, path string) (*units.File, error) {
	text, err := readUnit(path)
	if err != nil {
		return &units.File{Path: path}, err
	}
	file, err := units.Parse(path, text)
	if err != nil {
		return file, err
	}
	found := map[string]string{}
	for _, drop := range dropIns(filepath.Base(path)) {
		for _, dir := range slices.Backward(dirs) { // the first directory counts
			list, _ := filepath.Glob(filepath.Join(escapeGlob(dir), escapeGlob(drop), "*.conf"))
			for _, one := range list {
				found[filepath.Base(one)] = one
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		text, err := readUnit(found[name])
		if err == nil {
			err = file.Merge(found[name], text)
		}
		if err != nil {
			return file, err
		}
	}
	return file, nil
}

func escapeGlob(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(text)
}

// dropIns are the directories for a file, the one that counts least first.
func dropIns(name string) (dirs []string) {
	kind := filepath.Ext(name)
	base := strings.TrimSuffix(name, kind)
	dirs = []string{kind[1:] + ".d"}
	for n := range base {
		if base[n] == '-' && n < len(base)-1 {
			dirs = append(dirs, base[:n+1]+kind+".d")
		}
	}
	if template, instance, ok := strings.Cut(base, "@"); ok && instance != "" {
		dirs = append(dirs, template+"@"+kind+".d")
	}
	return append(dirs, name+".d")
}

func readUnit(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s: not a file", path)
	case info.Size() > mostUnit:
		return "", fmt.Errorf("%s: more than %d bytes", path, mostUnit)
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

// write puts units into a directory and removes those of files that are gone.
// Only what we wrote ourselves is written over or removed.
func (q *quadlets) write(s Streams, dir string, made []*units.Unit) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var failed []error
	if err := removeStale(dir, made); err != nil {
		failed = append(failed, err)
	}
	for _, unit := range made {
		file := filepath.Join(dir, unit.Name)
		err := writeGenerated(file, unit.Text)
		for _, link := range unit.Links {
			if err == nil {
				err = enable(dir, link)
			}
		}
		if err == nil && !q.quiet {
			_, err = fmt.Fprintln(s.Out, file)
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func writeGenerated(file, text string) error {
	if there, err := os.Lstat(file); err == nil && (!there.Mode().IsRegular() || !generated(file)) {
		return fmt.Errorf("%s: not written by rl generate quadlet, so it is left alone: move it away", file)
	}
	tmp := file + ".tmp"
	_ = os.Remove(tmp)
	err := os.WriteFile(tmp, []byte(text), 0o644)
	if err == nil {
		err = os.Rename(tmp, file)
	}
	return err
}

func generated(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(units.Generated)+1)
	n, _ := f.Read(head)
	return bytes.Equal(head[:n], []byte(units.Generated+"\n"))
}

// enable makes a link as systemctl enable does.
func enable(dir string, link units.Link) error {
	path := filepath.Join(dir, link.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if there, err := os.Readlink(path); err == nil {
		if there == link.Target {
			return nil
		}
		return fmt.Errorf("%s: a link to %s is there: move it away", path, there)
	}
	return os.Symlink(link.Target, path)
}

// removeStale removes the units of files that are gone, and all links to ours:
// those that are still wanted are made anew.
func removeStale(dir string, made []*units.Unit) error {
	files, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.service"))
	if err != nil {
		return err
	}
	links, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "*.*", "*.service"))
	for _, link := range append(links, files...) {
		target, err := os.Readlink(link)
		if err == nil && generated(filepath.Join(filepath.Dir(link), target)) && filepath.Dir(filepath.Join(filepath.Dir(link), target)) == dir {
			if err := os.Remove(link); err != nil {
				return err
			}
		}
	}
	for _, file := range files {
		there, err := os.Lstat(file)
		wanted := slices.ContainsFunc(made, func(u *units.Unit) bool { return u.Name == filepath.Base(file) })
		if err == nil && there.Mode().IsRegular() && !wanted && generated(file) {
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	return nil
}
