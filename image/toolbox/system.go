package toolbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

func pwd(std stdio, _ []string) error {
	dir, err := os.Getwd()
	if err == nil {
		_, err = fmt.Fprintln(std.out, dir)
	}
	return err
}

func env(std stdio, args []string) error {
	vars := os.Environ()
	for len(args) > 0 && (strings.Contains(args[0], "=") || args[0] == "-i") {
		if args[0] == "-i" {
			vars = nil
		} else {
			vars = append(vars, args[0])
		}
		args = args[1:]
	}
	if len(args) == 0 {
		_, err := fmt.Fprint(std.out, strings.Join(append(vars, ""), "\n"))
		return err
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = vars, std.in, std.out, std.err
	return child(cmd.Run())
}

// child makes the exit code of a program ours.
func child(err error) error {
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		return status(exit.ExitCode())
	case errors.As(err, &exit):
		return status(128 + int(exit.Sys().(interface{ Signal() unix.Signal }).Signal()))
	}
	return err
}

func date(std stdio, args []string) error {
	now, layout := time.Now(), "Mon Jan _2 15:04:05 MST 2006"
	for _, arg := range args {
		switch arg {
		case "-u":
			now = now.UTC()
		case "+%s":
			_, err := fmt.Fprintln(std.out, now.Unix())
			return err
		default:
			return usageError("date [-u] [+%s]")
		}
	}
	_, err := fmt.Fprintln(std.out, now.Format(layout))
	return err
}

func hostname(std stdio, _ []string) error {
	name, err := os.Hostname()
	if err == nil {
		_, err = fmt.Fprintln(std.out, name)
	}
	return err
}

func whoami(std stdio, _ []string) error {
	_, err := fmt.Fprintln(std.out, userName(os.Geteuid()))
	return err
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

func groupName(gid int) string {
	if g, err := user.LookupGroupId(strconv.Itoa(gid)); err == nil {
		return g.Name
	}
	return strconv.Itoa(gid)
}

func id(std stdio, args []string) error {
	uid, gid := os.Geteuid(), os.Getegid()
	text := ""
	switch strings.Join(args, "") {
	case "":
		text = fmt.Sprintf("uid=%d(%s) gid=%d(%s)", uid, userName(uid), gid, groupName(gid))
		groups, err := os.Getgroups()
		if err != nil {
			return err
		}
		for i, g := range groups {
			text += map[bool]string{true: " groups=", false: ","}[i == 0] + fmt.Sprintf("%d(%s)", g, groupName(g))
		}
	case "-u":
		text = strconv.Itoa(uid)
	case "-g":
		text = strconv.Itoa(gid)
	case "-un", "-nu", "-u-n":
		text = userName(uid)
	case "-gn", "-ng", "-g-n":
		text = groupName(gid)
	default:
		return usageError("id [-u | -g] [-n]")
	}
	_, err := fmt.Fprintln(std.out, text)
	return err
}

func kill(std stdio, args []string) error {
	number := unix.SIGTERM
	if len(args) > 0 && strings.HasPrefix(args[0], "-") {
		name := strings.TrimPrefix(strings.ToUpper(args[0][1:]), "SIG")
		if n, err := strconv.Atoi(name); err == nil {
			number = unix.Signal(n)
		} else if number = unix.SignalNum("SIG" + name); number == 0 {
			return usageError("kill [-SIGNAL] PID...")
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return usageError("kill [-SIGNAL] PID...")
	}
	return each(std, "kill", args, func(arg string) error {
		pid, err := strconv.Atoi(arg)
		if err == nil {
			err = unix.Kill(pid, number)
		}
		return err
	})
}

func link(_ stdio, args []string) error {
	make := os.Link
	force := false
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		if strings.Contains(args[0], "s") {
			make = os.Symlink
		}
		force = force || strings.Contains(args[0], "f")
		args = args[1:]
	}
	if len(args) != 2 {
		return usageError("ln [-sf] TARGET NAME")
	}
	name := args[1]
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		name = filepath.Join(name, filepath.Base(args[0]))
	}
	if force {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return make(args[0], name)
}

// ps lists processes with their command lines.
func ps(std stdio, _ []string) error {
	fmt.Fprintln(std.out, "  PID USER     COMMAND")
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		var st unix.Stat_t
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || unix.Stat(filepath.Join("/proc", e.Name()), &st) != nil {
			continue // it has ended
		}
		command := strings.TrimRight(strings.ReplaceAll(string(line), "\x00", " "), " ")
		if command == "" {
			name, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "comm"))
			command = "[" + strings.TrimSpace(string(name)) + "]"
		}
		fmt.Fprintf(std.out, "%5d %-8s %s\n", pid, userName(int(st.Uid)), command)
	}
	return nil
}

func readlink(std stdio, args []string) error {
	read := os.Readlink
	if len(args) > 0 && args[0] == "-f" {
		read, args = func(p string) (string, error) {
			p, err := filepath.Abs(p)
			if err != nil {
				return "", err
			}
			return filepath.EvalSymlinks(p)
		}, args[1:]
	}
	if len(args) != 1 {
		return usageError("readlink [-f] FILE")
	}
	target, err := read(args[0])
	if err != nil {
		return status(1) // without a word, as readlink does
	}
	_, err = fmt.Fprintln(std.out, target)
	return err
}

func rmdir(std stdio, args []string) error {
	if len(args) == 0 {
		return usageError("rmdir DIRECTORY...")
	}
	return each(std, "rmdir", args, unix.Rmdir)
}

func sleep(_ stdio, args []string) error {
	total := time.Duration(0)
	for _, arg := range args {
		if strings.Trim(arg[max(0, len(arg)-1):], "0123456789") == "" {
			arg += "s"
		}
		d, err := time.ParseDuration(arg)
		if err != nil || d < 0 {
			return usageError("sleep NUMBER[smh]...")
		}
		total += d
	}
	if len(args) == 0 {
		return usageError("sleep NUMBER[smh]...")
	}
	time.Sleep(total)
	return nil
}

func tty(std stdio, _ []string) error {
	if !term.IsTerminal(int(std.in.Fd())) {
		fmt.Fprintln(std.out, "not a tty")
		return status(1)
	}
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", std.in.Fd()))
	if err == nil {
		_, err = fmt.Fprintln(std.out, name)
	}
	return err
}

func uname(std stdio, args []string) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	text := func(b []byte) string { return unix.ByteSliceToString(b) }
	all := []struct{ flag, value string }{{"s", text(u.Sysname[:])}, {"n", text(u.Nodename[:])}, {"r", text(u.Release[:])}, {"v", text(u.Version[:])}, {"m", text(u.Machine[:])}}
	flags := strings.ReplaceAll(strings.Join(args, ""), "-", "")
	if flags == "" {
		flags = "s"
	}
	var words []string
	for _, f := range all {
		if strings.Contains(flags, f.flag) || strings.Contains(flags, "a") {
			words = append(words, f.value)
		}
	}
	_, err := fmt.Fprintln(std.out, strings.Join(words, " "))
	return err
}
