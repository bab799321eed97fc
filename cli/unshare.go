package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
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

// generateFlags writes a unit of systemd's user manager that starts a container
// at boot, given `loginctl enable-linger`. Its restarts stay rl's own matter.
func generateFlags(f *flags.Set) func(Streams, []string) error {
	limit := f.StringP("time", "t", "", "seconds until KILL when the unit stops")
	return func(s Streams, args []string) error {
		if len(args) != 1 {
			return usageError{Text: "generate systemd needs a container", Command: "generate systemd"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		info, err := container.Find(host.Dirs, args[0])
		if err != nil {
			return err
		}
		wait, err := seconds(*limit, info.StopTimeout())
		if err != nil {
			return usageError{Text: err.Error(), Command: "generate systemd"}
		}
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("finding our own binary: %w", err)
		}
		name := info.Name()
		_, err = fmt.Fprintf(s.Out, `# container-%[1]s.service: rl generate systemd %[1]s >~/.config/systemd/user/container-%[1]s.service
[Unit]
Description=rl container %[1]s
Wants=network-online.target
After=network-online.target
RequiresMountsFor=%[3]s

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=%[2]s start %[1]s
ExecStop=%[2]s stop -t %[4]d %[1]s
TimeoutStopSec=%[5]d

[Install]
WantedBy=default.target
`, name, self, host.Dirs.Data, int(wait.Seconds()), int(wait.Seconds())+60)
		return err
	}
}
