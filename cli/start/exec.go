package start

import (
	"os"
	"strings"

	"golang.org/x/term"

	"containers/rl/cli/flags"
	"containers/rl/container"
)

// Exec are the flags of exec as they were typed.
type Exec struct {
	container.ExecOptions
	envFile []string
}

// NewExec declares the flags of exec.
func NewExec(f *flags.Set) *Exec {
	o := &Exec{}
	f.BoolVarP(&o.Detached, "detach", "d", false, "do not wait for the command")
	f.BoolVarP(&o.Interactive, "interactive", "i", false, "keep standard input open")
	f.BoolVarP(&o.TTY, "tty", "t", false, "give the command a terminal")
	f.StringArrayVarP(&o.Env, "env", "e", nil, "set a variable: NAME=VALUE, or NAME to pass ours on")
	f.StringArrayVar(&o.envFile, "env-file", nil, "read variables from a file")
	f.StringVarP(&o.WorkingDir, "workdir", "w", "", "working directory")
	f.StringVarP(&o.User, "user", "u", "", "name or uid[:group or gid]")
	f.BoolVar(&o.Privileged, "privileged", false, "all capabilities of the user namespace")
	return o
}

func beginExec(args []string, s Streams) (*container.Running, error) {
	set := flags.New("exec")
	set.SetInterspersed(false)
	exec := NewExec(set)
	if set.Parse(args) != nil {
		return nil, errCold
	}
	return exec.Start(s, set.Args())
}

// Start starts the command. One that is not waited for ends with Exit.
func (o *Exec) Start(s Streams, args []string) (*container.Running, error) {
	if len(args) < 2 {
		return nil, UsageError{"exec needs a container and a command", "exec"}
	}
	if o.WorkingDir != "" && !strings.HasPrefix(o.WorkingDir, "/") {
		return nil, UsageError{"--workdir " + o.WorkingDir + ": it must be an absolute path", "exec"}
	}
	var err error
	if o.Env, err = environment(o.envFile, o.Env); err != nil {
		return nil, UsageError{err.Error(), "exec"}
	}
	if o.TTY && o.Interactive && !o.Detached && !term.IsTerminal(int(s.In.Fd())) {
		return nil, UsageError{"the input device is not a TTY: leave out -t", "exec"}
	}
	var host container.Host
	if host.Dirs, err = Directories(); err != nil {
		return nil, err
	}
	info, err := container.FindRunning(host.Dirs, args[0])
	if err != nil {
		return nil, err
	}
	if !info.Known() {
		if host, err = OpenHost(); err != nil {
			return nil, err
		}
	}
	o.Args = args[1:]
	if err := o.streams(s); err != nil {
		return nil, err
	}
	running, err := container.Exec(host, info, &o.ExecOptions)
	if err == nil && o.Detached {
		running.Abandon()
		err = container.Exit{Code: 0}
	}
	return running, err
}

func (o *Exec) streams(s Streams) error {
	o.Stdin, o.Stdout, o.Stderr = s.In, s.Out, s.Err
	if o.Interactive && !o.Detached {
		return nil
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if o.Stdin = null; o.Detached {
		o.Stdout, o.Stderr = null, null
	}
	return err
}
