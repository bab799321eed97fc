package flags

import (
	"errors"
	"fmt"
	"strings"
)

// Parse reads a command line. What it set before an error stays set.
func (s *Set) Parse(args []string) error {
	s.args, s.raw = []string{}, args
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		var err error
		switch {
		case word == "--":
			s.args = append(s.args, args...)
			return nil
		case len(word) < 2 || word[0] != '-':
			s.args = append(s.args, word)
			if s.stops {
				s.args = append(s.args, args...)
				return nil
			}
		case word[1] == '-':
			args, err = s.parseLong(word[2:], args)
		default:
			args, err = s.parseShort(word[1:], args)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// parseLong reads one flag after its --, and gives the arguments left.
func (s *Set) parseLong(word string, rest []string) ([]string, error) {
	name, value, valued := strings.Cut(word, "=")
	if name == "" || name[0] == '-' {
		return nil, fmt.Errorf("bad flag syntax: --%s", word)
	}
	f := s.long(name)
	switch {
	case f == nil && name == "help":
		return nil, ErrHelp
	case f == nil:
		return nil, fmt.Errorf("unknown flag: --%s", name)
	case valued:
		return rest, f.set(value)
	case f.Kind == Bool:
		return rest, f.set("true")
	case len(rest) == 0:
		return nil, fmt.Errorf("flag needs an argument: --%s", name)
	}
	return rest[1:], f.set(rest[0])
}

// parseShort reads a cluster of shorthands after its -. The last may take a
// value: the rest of the word, with or without =, or the next argument.
func (s *Set) parseShort(word string, rest []string) ([]string, error) {
	for cluster := word; cluster != ""; {
		letter, left := cluster[:1], cluster[1:]
		f := s.short(letter)
		var err error
		switch {
		case f == nil && letter == "h":
			return nil, ErrHelp
		case f == nil:
			return nil, fmt.Errorf("unknown shorthand flag: %q in -%s", []rune(cluster)[0], cluster)
		case len(left) > 1 && left[0] == '=':
			return rest, f.set(left[1:])
		case f.Kind == Bool:
			err = f.set("true")
		case left != "":
			return rest, f.set(left)
		case len(rest) == 0:
			return nil, errors.New("flag needs an argument: '" + letter + "' in -" + cluster)
		default:
			return rest[1:], f.set(rest[0])
		}
		if err != nil {
			return nil, err
		}
		cluster = left
	}
	return rest, nil
}
