// Package self is what rl is called, and its version. `rl version` is answered
// while the program is still being initialised, from a package variable: this
// package imports nothing but os and runtime, so nearly all others come after
// it. Package start does the same for the command run, and tells how.
package self

import (
	"os"
	"runtime"
)

// Version is rl's own.
const Version = "0.1.0"

// Text is what the command version prints.
func Text() string {
	return "Client:       rl\nVersion:      " + Version + "\nAPI Version:  " + Version + "\nGo Version:   " + runtime.Version() + "\nOS/Arch:      " + runtime.GOOS + "/" + runtime.GOARCH + "\n"
}

// Answered is false: where it would be true the process has ended.
var Answered = answer(os.Args)

func answer(args []string) bool {
	if len(args) != 2 || args[1] != "version" || !IsCommandLine(args[0]) {
		return false
	}
	if _, err := os.Stdout.WriteString(Text()); err != nil {
		return false // the whole command says what is wrong
	}
	os.Exit(0)
	return true
}

// IsCommandLine says whether the binary is started as rl, under whatever name
// that begins so. Under others it is a helper or a tool.
func IsCommandLine(argv0 string) bool {
	name := argv0
	for i := range len(argv0) {
		if argv0[i] == '/' {
			name = argv0[i+1:]
		}
	}
	return len(name) >= 2 && name[:2] == "rl" && (len(name) == 2 || name[2] != '-')
}
