// Rl runs containers for people without root. One binary plays several parts,
// told by the name it is started under: the command line, the helpers that
// work inside a user namespace, and the tools of the built-in image.
package main

import (
	"os"
	"path/filepath"
	"slices"

	"containers/rl/cli"
	"containers/rl/cli/start"
	"containers/rl/image/toolbox"
)

func main() {
	streams := cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	if running := start.Begun; running != nil {
		os.Exit(cli.Continue(running, streams))
	}
	if code, ok := cli.Role(os.Args, streams); ok {
		os.Exit(code)
	}
	if name := filepath.Base(os.Args[0]); name != "rl" && isTool(name) {
		os.Exit(toolbox.Main(os.Args))
	}
	os.Exit(cli.Main(os.Args[1:], streams))
}

func isTool(name string) bool {
	return name == "rl-toolbox" || slices.Contains(toolbox.Applets(), name)
}
