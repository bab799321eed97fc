// Package flags reads a command's flags as github.com/spf13/pflag does, to the
// letter: that is the command line which users of docker and podman know.
// Flags stand in any order, --name=value or --name value, shorthands in
// clusters (-it), and -- ends them.
//
// It has what rl uses of pflag and no more: no persistent flags, no
// normalisation, no deprecated or hidden flags, no values of other types, and
// no quotes in lists: a comma always parts.
//
// It is a package of our own because every start paid for pflag: the packages
// net and encoding/csv that it imports are initialised before a container can
// be begun, and with them much that sorts before (see package cli/start). A
// test compares the two.
package flags
