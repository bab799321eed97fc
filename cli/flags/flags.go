package flags

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrHelp says that --help or -h was given, and is not a flag of the command.
var ErrHelp = errors.New("help requested")

// Kind says what values a flag takes.
type Kind string

// The kinds, by the names that the usage shows.
const (
	Bool  Kind = "bool"
	Text  Kind = "string"
	List  Kind = "stringArray" // one value a use
	Split Kind = "strings"     // values separated by commas
)

// Flag is one flag of a command.
type Flag struct {
	Name, Short, Usage string
	Kind               Kind
	Default            string

	changed bool
	alias   *Flag // another name of this one
	flag    *bool
	text    *string
	list    *[]string
}

// Set are the flags of one command. It is not safe for concurrent use.
type Set struct {
	name  string
	all   []*Flag
	args  []string
	raw   []string // as given to Parse
	stops bool     // at the first argument
}

// New makes an empty set for the command name.
func New(name string) *Set { return &Set{name: name} }

// SetInterspersed says whether flags may follow arguments, as by default.
func (s *Set) SetInterspersed(may bool) { s.stops = !may }

// Name is the command's.
func (s *Set) Name() string { return s.name }

// Args are what is not a flag, after Parse.
func (s *Set) Args() []string { return s.args }

// Raw is all that was given to Parse.
func (s *Set) Raw() []string { return s.raw }

// All are the flags in the order of their declaration.
func (s *Set) All() []*Flag { return s.all }

// Changed says whether a flag was given.
func (s *Set) Changed(name string) bool {
	f := s.long(name)
	return f != nil && f.changed
}

func (s *Set) long(name string) *Flag {
	for _, f := range s.all {
		if f.Name == name {
			return f
		}
	}
	return nil
}

func (s *Set) short(name string) *Flag {
	for _, f := range s.all {
		if f.Short != "" && f.Short == name {
			return f
		}
	}
	return nil
}

// declare panics on a name that is there, and on a shorthand that none can
// give: those are mistakes in the program.
func (s *Set) declare(f *Flag) {
	if len(f.Short) > 1 {
		panic(s.name + ": not a shorthand: " + f.Short)
	}
	if s.long(f.Name) != nil || s.short(f.Short) != nil {
		panic(s.name + ": flag redefined: " + f.Name)
	}
	s.all = append(s.all, f)
}

// BoolVarP declares a boolean flag with a shorthand.
func (s *Set) BoolVarP(p *bool, name, short string, value bool, usage string) {
	*p = value
	s.declare(&Flag{Name: name, Short: short, Usage: usage, Kind: Bool, Default: strconv.FormatBool(value), flag: p})
}

// BoolVar is BoolVarP without a shorthand.
func (s *Set) BoolVar(p *bool, name string, value bool, usage string) {
	s.BoolVarP(p, name, "", value, usage)
}

// BoolP is BoolVarP with a variable of its own.
func (s *Set) BoolP(name, short string, value bool, usage string) *bool {
	p := new(bool)
	s.BoolVarP(p, name, short, value, usage)
	return p
}

// Bool is BoolP without a shorthand.
func (s *Set) Bool(name string, value bool, usage string) *bool {
	return s.BoolP(name, "", value, usage)
}

// StringVarP declares a flag of one value with a shorthand.
func (s *Set) StringVarP(p *string, name, short, value, usage string) {
	*p = value
	s.declare(&Flag{Name: name, Short: short, Usage: usage, Kind: Text, Default: value, text: p})
}

// StringVar is StringVarP without a shorthand.
func (s *Set) StringVar(p *string, name, value, usage string) {
	s.StringVarP(p, name, "", value, usage)
}

// StringP is StringVarP with a variable of its own.
func (s *Set) StringP(name, short, value, usage string) *string {
	p := new(string)
	s.StringVarP(p, name, short, value, usage)
	return p
}

// String is StringP without a shorthand.
func (s *Set) String(name, value, usage string) *string {
	return s.StringP(name, "", value, usage)
}

// StringArrayVarP declares a flag that can be given several times. Each use
// adds its whole value; the first replaces the default.
func (s *Set) StringArrayVarP(p *[]string, name, short string, value []string, usage string) {
	*p = value
	s.declare(&Flag{Name: name, Short: short, Usage: usage, Kind: List, list: p})
}

// StringArrayVar is StringArrayVarP without a shorthand.
func (s *Set) StringArrayVar(p *[]string, name string, value []string, usage string) {
	s.StringArrayVarP(p, name, "", value, usage)
}

// StringSliceVar is StringArrayVar, but each use adds the parts between commas.
func (s *Set) StringSliceVar(p *[]string, name string, value []string, usage string) {
	*p = value
	s.declare(&Flag{Name: name, Usage: usage, Kind: Split, list: p})
}

// Alias declares another name of a flag that is declared already.
func (s *Set) Alias(name, of string) {
	f := s.long(of)
	s.declare(&Flag{Name: name, Usage: "the same as --" + of, Kind: f.Kind, alias: f})
}

// set gives a flag a value.
func (f *Flag) set(value string) error {
	if f.alias != nil {
		return f.alias.set(value)
	}
	switch f.Kind {
	case Bool:
		on, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("invalid argument %q for %q flag: must be true or false", value, f.shown())
		}
		*f.flag = on
	case Text:
		*f.text = value
	default:
		if !f.changed {
			*f.list = []string{}
		}
		*f.list = append(*f.list, f.parts(value)...)
	}
	f.changed = true
	return nil
}

func (f *Flag) parts(value string) []string {
	switch {
	case f.Kind == List:
		return []string{value}
	case value == "":
		return nil
	}
	return strings.Split(value, ",")
}

// shown is the flag as errors name it.
func (f *Flag) shown() string {
	if f.Short != "" {
		return "-" + f.Short + ", --" + f.Name
	}
	return "--" + f.Name
}
