package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/image"
	"containers/rl/storage"
)

// nestedVariable is podman's: the command of a label cannot run that of another.
const nestedVariable = "PODMAN_RUNLABEL_NESTED"

// labelRun is podman-container-runlabel(1). What a label says is run on the host,
// as the user: that is what it is for, and all that stands before it is that the
// user names the label and the image. No text of the image decides more than that:
// a variable's value is never taken apart into words.
type labelRun struct {
	display, replace bool
	image, name      string
	options          [3]string // of --opt1 to --opt3
	pull             bool
	pullRequest
}

func runlabelFlags(f *flags.Set) func(Streams, []string) error {
	l := &labelRun{}
	check := registryFlags(f, &l.Access)
	f.BoolVar(&l.display, "display", false, "show the command, and do not run it")
	f.StringVarP(&l.name, "name", "n", "", "what NAME stands for (default: the image's name without registry and tag)")
	for n := range l.options {
		f.StringVar(&l.options[n], fmt.Sprintf("opt%d", n+1), "", fmt.Sprintf("what $OPT%d stands for", n+1))
	}
	f.BoolVarP(&l.pull, "pull", "p", true, "pull the image when it is not there")
	f.BoolVarP(&l.Quiet, "quiet", "q", false, "show neither progress nor what the command writes")
	f.BoolVar(&l.replace, "replace", false, "remove the container first that has the name of the command's --name")
	return func(s Streams, args []string) error {
		if len(args) < 2 {
			return usageError{Text: fmt.Sprintf("requires at least 2 arg(s), only received %d", len(args)), Command: "container runlabel"}
		}
		if os.Getenv(nestedVariable) == "1" {
			return errors.New("nested runlabel calls: runlabels cannot execute the runlabel command")
		}
		if err := check(s); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		l.image = args[1]
		words, err := l.command(host, strings.TrimPrefix(args[0], "/"), args[2:])
		if err != nil {
			return err
		}
		if l.display {
			_, err := fmt.Fprintf(s.Out, "command: %s\n", strings.Join(words, " "))
			return err
		}
		if l.replace {
			if err := replaceNamed(host, words); err != nil {
				return err
			}
		}
		return l.become(words)
	}
}

// command gives the words of a label with ours after them.
func (l *labelRun) command(host container.Host, label string, more []string) ([]string, error) {
	text, err := l.label(host, label)
	if err != nil {
		return nil, err
	}
	words, err := shellWords(text)
	if err == nil && len(words) == 0 {
		err = errors.New("no command")
	}
	if err != nil {
		return nil, fmt.Errorf("reading label %s of image %s: %q: %w", label, l.image, text, err)
	}
	if l.name == "" {
		l.name = baseName(l.image)
	}
	if base := path.Base(words[0]); base == "podman" || base == "docker" {
		words[0] = "rl"
	}
	for n, word := range words[1:] {
		words[n+1] = l.expand(word)
	}
	return append(words, more...), nil
}

// label is the value of an image's label, and the image is brought if need be.
// Upper and lower case are the same, as to podman.
func (l *labelRun) label(host container.Host, name string) (string, error) {
	img, err := lookup(host, l.image)
	if errors.Is(err, storage.ErrNoImage) && l.pull {
		l.Refs = []string{l.image}
		if err = l.start(host); err == nil {
			img, err = host.Dirs.Lookup(l.image)
		}
	}
	if err != nil {
		return "", err
	}
	defer img.Close()
	for _, pair := range img.Settings.Labels {
		if key, value, _ := strings.Cut(pair, "="); strings.EqualFold(key, name) && value != "" {
			return value, nil
		}
	}
	return "", fmt.Errorf("cannot find the value of label: %s in image: %s", name, l.image)
}

// baseName is an image's name without registry, tag and digest.
func baseName(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	ref, _, _ = strings.Cut(path.Base(ref), ":")
	return ref
}

// expand puts values into a word: $NAME and ${NAME} anywhere, NAME alone and
// after the first =, and so with IMAGE. Variables that are not ours stay, as the
// command may be one for a shell.
func (l *labelRun) expand(word string) string {
	bare := map[string]string{"IMAGE": l.image, "NAME": l.name}
	before, last, found := strings.Cut(word, "=")
	if !found {
		before, last = "", word
	} else {
		before += "="
	}
	if value, ok := bare[last]; ok {
		return before + value
	}
	return regexp.MustCompile(`\$(\w+|\{\w+\})`).ReplaceAllStringFunc(word, func(variable string) string {
		switch name := strings.Trim(variable, "${}"); name {
		case "OPT1", "OPT2", "OPT3":
			return l.options[name[3]-'1']
		case "GLOBAL_OPTS":
			return ""
		case "PWD":
			if dir, err := os.Getwd(); err == nil {
				return dir
			}
			return variable
		default:
			if value, ok := bare[name]; ok {
				return value
			}
			return variable
		}
	})
}

// replaceNamed removes the container that the command is about to make anew.
func replaceNamed(host container.Host, words []string) error {
	name := ""
	for n, word := range words {
		if value, ok := strings.CutPrefix(word, "--name="); ok {
			name = value
		} else if word == "--name" && n+1 < len(words) {
			name = words[n+1]
		}
		if name != "" {
			break
		}
	}
	info, err := container.Find(host.Dirs, name)
	if name == "" || errors.Is(err, storage.ErrNoContainer) || err == nil && info.Name() != name {
		return nil
	}
	if err != nil {
		return err
	}
	return container.Delete(host, info, true)
}

// become executes the command in our place, so that its status, its signals and
// its terminal are its own.
func (l *labelRun) become(words []string) error {
	program := "/proc/self/exe"
	if words[0] != "rl" {
		var err error
		if program, err = exec.LookPath(words[0]); err != nil {
			return &start.CodeError{Err: fmt.Errorf("running the label's command: %w", err), Code: 127}
		}
	}
	if l.Quiet {
		null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening %s: %w", os.DevNull, err)
		}
		for fd := range 3 {
			if err := unix.Dup3(null, fd, 0); err != nil {
				return fmt.Errorf("letting go of a stream: %w", err)
			}
		}
	}
	if err := os.Unsetenv(image.CredsVariable); err != nil { // of the pull alone
		return err
	}
	environment := os.Environ()
	for n, value := range l.options {
		if value != "" {
			environment = append(environment, fmt.Sprintf("OPT%d=%s", n+1, value))
		}
	}
	err := unix.Exec(program, words, append(environment, nestedVariable+"=1"))
	return &start.CodeError{Err: fmt.Errorf("exec %s: %w", words[0], err), Code: 126}
}
