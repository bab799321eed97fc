package cli

import (
	"fmt"
	"io"
	"sort"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/cli/self"
)

func versionFlags(*flags.Set) func(Streams, []string) error {
	return func(s Streams, _ []string) error {
		_, err := io.WriteString(s.Out, self.Text())
		return err
	}
}

func helpFlags(*flags.Set) func(Streams, []string) error {
	return func(s Streams, args []string) error {
		if len(args) == 0 {
			return overview(s.Out)
		}
		c, ok := find(strings.Join(args, " "))
		if !ok {
			c, ok = find(ungroup(args)[0])
		}
		if !ok {
			return usageError{Text: fmt.Sprintf("unknown command %q", strings.Join(args, " "))}
		}
		set := flags.New(c.Name)
		c.Flags(set)
		usage(s.Out, c, set)
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
func completionFlags(*flags.Set) func(Streams, []string) error {
	return func(s Streams, args []string) error {
		if len(args) != 1 || args[0] != "bash" {
			return usageError{Text: "completion needs the shell: bash", Command: "completion"}
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
       run|create|rmi) words=$(rl images 2>/dev/null | awk 'NR>1 {print $1 ":" $2}') ;;
       attach|exec|inspect|kill|logs|pause|rename|restart|rm|start|stop|top|unpause|wait) words=$(rl ps -a --format '{{.Names}}' 2>/dev/null) ;;
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
	set := flags.New(c.Name)
	c.Flags(set)
	for _, f := range set.All() {
		names = append(names, "--"+f.Name)
		if f.Short != "" {
			names = append(names, "-"+f.Short)
		}
	}
	sort.Strings(names)
	return names
}

// manFlags prints man(7) made from the table.
func manFlags(*flags.Set) func(Streams, []string) error {
	return func(s Streams, _ []string) error {
		var b strings.Builder
		b.WriteString(".TH RL 1 \"\" \"rl " + self.Version + "\"\n.SH NAME\nrl \\- containers for people without root\n.SH SYNOPSIS\n.B rl\n.I COMMAND\n.SH COMMANDS\n")
		for _, c := range Commands() {
			fmt.Fprintf(&b, ".SS rl %s %s\n%s.\n", c.Name, roff(c.Args), roff(c.Short))
			set := flags.New(c.Name)
			c.Flags(set)
			for _, f := range set.All() {
				short := ""
				if f.Short != "" {
					short = "\\-" + f.Short + ", "
				}
				fmt.Fprintf(&b, ".TP\n\\fB%s\\-\\-%s\\fR\n%s\n", short, roff(f.Name), roff(f.Usage))
			}
		}
		b.WriteString(".SH EXIT STATUS\n125 rl itself failed, 126 the program cannot be executed, 127 it is not found, 128+n it died of signal n, else its own.\n")
		_, err := io.WriteString(s.Out, b.String())
		return err
	}
}

func roff(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
}
