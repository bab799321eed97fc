package cli

import (
	"fmt"
	"io"
	"runtime"
	"sort"
	"strings"

	"github.com/spf13/pflag"
)

func versionFlags(*pflag.FlagSet) func(Streams, []string) error {
	return func(s Streams, _ []string) error {
		_, err := fmt.Fprintf(s.Out, "rl version %s %s/%s\n", Version, runtime.GOOS, runtime.GOARCH)
		return err
	}
}

func helpFlags(*pflag.FlagSet) func(Streams, []string) error {
	return func(s Streams, args []string) error {
		if len(args) == 0 {
			return overview(s.Out)
		}
		c, ok := find(args[0])
		if !ok {
			return usageError{fmt.Sprintf("unknown command %q", args[0]), ""}
		}
		flags := pflag.NewFlagSet(c.Name, pflag.ContinueOnError)
		flags.SortFlags = false
		c.Flags(flags)
		usage(s.Out, c, flags)
		return nil
	}
}

func overview(w io.Writer) error {
	var b strings.Builder
	b.WriteString("Usage: rl COMMAND\n\nContainers for people without root.\n\nCommands:\n")
	for _, c := range Commands() {
		fmt.Fprintf(&b, "  %-11s %s\n", c.Name, c.Short)
	}
	b.WriteString("\nrl help COMMAND shows the flags of a command. rl run --rm -it builtin sh needs no network.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// completionFlags prints a script made from the table.
func completionFlags(*pflag.FlagSet) func(Streams, []string) error {
	return func(s Streams, args []string) error {
		if len(args) != 1 || args[0] != "bash" {
			return usageError{"completion needs the shell: bash", "completion"}
		}
		var names []string
		var cases strings.Builder
		for _, c := range Commands() {
			names = append(names, c.Name)
			fmt.Fprintf(&cases, "    %s) words=%q ;;\n", c.Name, strings.Join(flagNames(c), " "))
		}
		_, err := fmt.Fprintf(s.Out, `# bash completion of rl: source <(rl completion bash)
_rl() {
  local words="%s" current="${COMP_WORDS[COMP_CWORD]}"
  if [ "$COMP_CWORD" -gt 1 ]; then
    case "${COMP_WORDS[1]}" in
%s    esac
    case "$current" in
    -*) ;;
    *) case "${COMP_WORDS[1]}" in
       run|rmi) words=$(rl images 2>/dev/null | awk 'NR>1 {print $1 ":" $2}') ;;
       *) words= ;;
       esac ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _rl rl
`, strings.Join(names, " "), cases.String())
		return err
	}
}

func flagNames(c Command) (names []string) {
	flags := pflag.NewFlagSet(c.Name, pflag.ContinueOnError)
	c.Flags(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		names = append(names, "--"+f.Name)
		if f.Shorthand != "" {
			names = append(names, "-"+f.Shorthand)
		}
	})
	sort.Strings(names)
	return names
}

// manFlags prints man(7) made from the table.
func manFlags(*pflag.FlagSet) func(Streams, []string) error {
	return func(s Streams, _ []string) error {
		var b strings.Builder
		b.WriteString(".TH RL 1 \"\" \"rl " + Version + "\"\n.SH NAME\nrl \\- containers for people without root\n.SH SYNOPSIS\n.B rl\n.I COMMAND\n.SH COMMANDS\n")
		for _, c := range Commands() {
			fmt.Fprintf(&b, ".SS rl %s %s\n%s.\n", c.Name, roff(c.Args), roff(c.Short))
			flags := pflag.NewFlagSet(c.Name, pflag.ContinueOnError)
			flags.SortFlags = false
			c.Flags(flags)
			flags.VisitAll(func(f *pflag.Flag) {
				short := ""
				if f.Shorthand != "" {
					short = "\\-" + f.Shorthand + ", "
				}
				fmt.Fprintf(&b, ".TP\n\\fB%s\\-\\-%s\\fR\n%s\n", short, roff(f.Name), roff(f.Usage))
			})
		}
		b.WriteString(".SH EXIT STATUS\n125 rl itself failed, 126 the program cannot be executed, 127 it is not found, 128+n it died of signal n, else its own.\n")
		_, err := io.WriteString(s.Out, b.String())
		return err
	}
}

func roff(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
}
