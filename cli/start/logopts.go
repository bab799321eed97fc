package start

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/term"

	"containers/rl/container"
)

// checkLog is for --log-driver and --log-opt.
func (o *Run) checkLog() error {
	switch o.logDriver {
	case container.LogK8s:
	case container.LogJSON, container.LogJournald:
		o.Log.Driver = o.logDriver
	case container.LogNone:
		o.NoLog = true
	case container.LogPassthrough:
		o.Log.Driver = o.logDriver
		return o.checkPassthrough()
	default:
		return fmt.Errorf("--log-driver %s: invalid log driver: k8s-file, json-file, journald, passthrough or none", o.logDriver)
	}
	for _, text := range o.logOpts {
		if err := o.logOption(text); err != nil {
			return err
		}
	}
	if o.Log.MaxFile > 1 && o.Log.MaxSize == 0 {
		return errors.New("--log-opt max-file: it needs --log-opt max-size, without which there is one file")
	}
	if o.Log.Driver == container.LogJournald && (o.Log.MaxSize > 0 || o.Log.Path != "") {
		return errors.New("--log-opt: with --log-driver journald the journal's own settings say where it is kept and how large it may be: journald.conf(5)")
	}
	return nil
}

// checkPassthrough: a container with our own terminal could type to us (TIOCSTI).
func (o *Run) checkPassthrough() error {
	if o.TTY {
		return errors.New("conflicting options: --log-driver passthrough and --tty")
	}
	for fd := range 3 {
		if term.IsTerminal(fd) {
			return errors.New("--log-driver passthrough: it cannot be used on a TTY: the container could type to it")
		}
	}
	return nil
}

// noLogOpts are docker's that change nothing here.
var noLogOpts = []string{"mode", "max-buffer-size", "compress", "labels", "labels-regex", "env", "env-regex", "cache-disabled", "cache-max-file", "cache-max-size", "cache-compress"}

func (o *Run) logOption(text string) (err error) {
	bad := func(why string) error { return fmt.Errorf("--log-opt %s: %s", text, why) }
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return bad("NAME=VALUE")
	}
	switch name {
	case "max-size", "size":
		if value == "-1" {
			return nil
		}
		if o.Log.MaxSize, err = parseDecimalSize(value); err != nil {
			return bad(fmt.Sprintf("invalid size: '%s': a number of bytes, or with k, m or g", value))
		}
	case "max-file":
		if o.Log.MaxFile, err = strconv.Atoi(value); err != nil || o.Log.MaxFile < 1 {
			return bad("max-file cannot be less than 1")
		}
	case "path":
		return o.logPath(value, bad)
	case "tag":
		rest := value
		for _, tag := range container.LogTags {
			rest = strings.ReplaceAll(rest, tag, "")
		}
		if strings.Contains(rest, "{{") {
			return bad("it can hold " + strings.Join(container.LogTags, ", "))
		}
		o.Log.Tag = value
	default:
		if !slices.Contains(noLogOpts, name) {
			return bad(fmt.Sprintf("unknown log opt '%s' for %s log driver", name, o.logDriver))
		}
		o.note("--log-opt %s: it changes nothing here", text)
	}
	return nil
}

func (o *Run) logPath(value string, bad func(string) error) (err error) {
	if o.Log.Path, err = absolute(value); err != nil {
		return err
	}
	if value == "" || strings.HasSuffix(value, "/") {
		return bad("the path of a file")
	}
	if info, err := os.Stat(path.Dir(o.Log.Path)); err != nil || !info.IsDir() {
		return bad("its directory is not there: mkdir -p " + path.Dir(o.Log.Path))
	}
	if info, err := os.Stat(o.Log.Path); err == nil && !info.Mode().IsRegular() {
		return bad("it is there, and not a file")
	}
	return nil
}

// parseDecimalSize reads the sizes of logs, whose k is 1000, as docker's and
// podman's: 10m, 10mb, 1.5g.
func parseDecimalSize(text string) (int64, error) {
	number := strings.TrimSuffix(strings.ToLower(text), "b")
	unit := 1.0
	if number != "" {
		if at := strings.IndexByte("kmgtp", number[len(number)-1]); at >= 0 {
			for range at + 1 {
				unit *= 1000
			}
			number = number[:len(number)-1]
		}
	}
	size, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(size*unit >= 1) || size*unit > 1<<62 {
		return 0, fmt.Errorf("size %q", text)
	}
	return int64(size * unit), nil
}

// note is said when the container is about to be made.
func (o *Run) note(format string, a ...any) { o.notes = append(o.notes, fmt.Sprintf(format, a...)) }
