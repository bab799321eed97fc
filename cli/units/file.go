package units

import (
	"fmt"
	"strings"
)

// Entry is one assignment.
type Entry struct {
	Key, Value string
	Place
}

// Place is where something stands in a file.
type Place struct {
	File string
	Line int
}

// Errorf makes an error that begins with the place.
func (p Place) Errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", p.File, p.Line, fmt.Errorf(format, args...))
}

// Section is a part of a file under one name. It may stand in several places.
type Section struct {
	Name    string
	Entries []Entry
}

// File is a unit file. Comments are not kept.
type File struct {
	Path     string
	Sections []*Section
}

// Parse reads a unit file.
func Parse(path, text string) (*File, error) {
	f := &File{Path: path}
	return f, f.Merge(path, text)
}

// Merge adds what a drop-in says.
func (f *File) Merge(path, text string) error {
	var section *Section
	lines := strings.Split(text, "\n")
	for n := 0; n < len(lines); n++ {
		place := Place{path, n + 1}
		line := strings.Trim(lines[n], blanks)
		if line == "" || comment(line) {
			continue
		}
		if line, n = continued(lines, n); line == "" {
			continue
		}
		switch name, value, found := strings.Cut(line, "="); {
		case strings.ContainsRune(line, 0):
			return place.Errorf("a zero byte")
		case line[0] == '[':
			if line[len(line)-1] != ']' || len(line) < 3 {
				return place.Errorf("%s: not the head of a section", line)
			}
			section = f.section(line[1 : len(line)-1])
		case section == nil:
			return place.Errorf("%s: outside of any section", line)
		case !found || strings.Trim(name, blanks) == "":
			return place.Errorf("%s: not KEY=VALUE", line)
		case goesOn(line):
			return place.Errorf("%s: a backslash at the end", line)
		default:
			section.Entries = append(section.Entries, Entry{strings.Trim(name, blanks), strings.Trim(value, blanks), place})
		}
	}
	return nil
}

func comment(line string) bool { return line[0] == '#' || line[0] == ';' }

// goesOn says whether a line ends with a backslash that no other one escapes.
func goesOn(line string) bool { return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1 }

// continued gives the line that begins at n, with those that follow a backslash
// at its end, and the number of the last. Comments in between are left out.
func continued(lines []string, n int) (string, int) {
	whole := strings.Trim(lines[n], blanks)
	for goesOn(whole) {
		whole = whole[:len(whole)-1] + " "
		for n++; n < len(lines); n++ {
			if next := strings.Trim(lines[n], blanks); next == "" || !comment(next) {
				whole += next
				break
			}
		}
	}
	return strings.Trim(whole, blanks), min(n, len(lines)-1)
}

// section finds the section, or makes it.
func (f *File) section(name string) *Section {
	if s := f.find(name); s != nil {
		return s
	}
	s := &Section{Name: name}
	f.Sections = append(f.Sections, s)
	return s
}

func (f *File) find(name string) *Section {
	for _, s := range f.Sections {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// All gives the values of a key. An empty one clears those before it.
func (f *File) All(section, key string) (list []Entry) {
	s := f.find(section)
	if s == nil {
		return nil
	}
	for _, e := range s.Entries {
		switch {
		case e.Key != key:
		case e.Value == "":
			list = nil
		default:
			list = append(list, e)
		}
	}
	return list
}

// Last gives the value that counts of a key that has one.
func (f *File) Last(section, key string) (Entry, bool) {
	list := f.All(section, key)
	if len(list) == 0 {
		return Entry{}, false
	}
	return list[len(list)-1], true
}

// add puts an entry at the end of a section.
func (f *File) add(section, key, value string) {
	s := f.section(section)
	s.Entries = append(s.Entries, Entry{Key: key, Value: value})
}

// lead puts entries at the beginning of a section, so that the user's come after them.
func (f *File) lead(section string, entries ...Entry) {
	s := f.section(section)
	s.Entries = append(entries, s.Entries...)
}

// String is the file's text.
func (f *File) String() string {
	var b strings.Builder
	for n, s := range f.Sections {
		if n > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "[%s]\n", s.Name)
		for _, e := range s.Entries {
			fmt.Fprintf(&b, "%s=%s\n", e.Key, e.Value)
		}
	}
	return b.String()
}
