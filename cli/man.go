package cli

import (
	"fmt"
	"io"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/cli/self"
)

// manFlags prints man(7) made from the table.
func manFlags(*flags.Set) func(Streams, []string) error {
	return func(s Streams, _ []string) error {
		var b strings.Builder
		b.WriteString(".TH RL 1 \"\" \"rl " + self.Version + "\"\n.SH NAME\nrl \\- containers for people without root\n.SH SYNOPSIS\n.B rl\n.I COMMAND\n.SH COMMANDS\n")
		for _, c := range Commands() {
			fmt.Fprintf(&b, ".SS rl %s %s\n%s.\n", c.Name, roff(c.Args), roff(c.Short))
			for _, line := range remarks()[c.Name] {
				b.WriteString(roff(line) + "\n")
			}
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
