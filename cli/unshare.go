package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
)

const roleUnshare = "rl-unshare"

// unshareFlags is podman-unshare(1): the user's view of the files that belong
// to the ids of his range.
func unshareFlags(*flags.Set) func(Streams, []string) error {
	return func(_ Streams, args []string) error {
		if len(args) == 0 {
			shell := os.Getenv("SHELL")
			if shell == "" {
				shell = "/bin/sh"
			}
			args = []string{shell}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		return inside(host, roleUnshare, args...)
	}
}

// unshareInside becomes the program.
func unshareInside(_ Streams, args []string) error {
	if len(args) == 0 {
		return errors.New(roleUnshare + " is for rl itself")
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return &start.CodeError{Err: err, Code: 127}
	}
	err = syscall.Exec(path, args, append(os.Environ(), "_CONTAINERS_USERNS_CONFIGURED=done"))
	return &start.CodeError{Err: fmt.Errorf("exec %s: %w", path, err), Code: 126}
}
