package cli

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// completions are the scripts for the shells. Each asks rl itself what may come
// next, by the command __complete.
var completions = map[string]string{
	"bash": `# bash completion of rl: source <(rl completion bash)
_rl() {
  local IFS=$'\n' current="${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=($(compgen -W "$(rl __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1)" -- "$current"))
}
complete -o default -F _rl rl
`,
	"zsh": `#compdef rl
# zsh completion of rl: rl completion zsh >"${fpath[1]}/_rl"
_rl() {
  local -a found
  found=("${(@f)$(rl __complete "${(@)words[2,CURRENT]}" 2>/dev/null | sed 's/:/\\:/g; s/\t/:/')}")
  if [[ -n "$found" ]]; then _describe rl found; else _files; fi
}
compdef _rl rl
`,
	"fish": `# fish completion of rl: rl completion fish >~/.config/fish/completions/rl.fish
function __rl_complete
  set -l words (commandline -opc) (commandline -ct)
  rl __complete $words[2..-1] 2>/dev/null
end
complete -c rl -a '(__rl_complete)'
`,
}

func completionFlags(f *flags.Set) func(Streams, []string) error {
	file := f.StringP("file", "f", "", "write it to a file")
	bare := f.Bool("no-desc", false, "leave out descriptions")
	return func(s Streams, args []string) error {
		if err := exactly("completion", args, 1); err != nil {
			return err
		}
		script, ok := completions[args[0]]
		if !ok {
			return usageError{Text: fmt.Sprintf("invalid argument %q for \"rl completion\"", args[0]), Command: "completion"}
		}
		if *bare && args[0] != "bash" {
			script = strings.ReplaceAll(script, "2>/dev/null", "2>/dev/null | cut -f1")
		}
		if *file != "" {
			return os.WriteFile(*file, []byte(script), 0o644)
		}
		_, err := io.WriteString(s.Out, script)
		return err
	}
}

// completeFlags is the command __complete: the words so far, of which the last
// is being typed. It prints what may stand there, and what that is.
func completeFlags(*flags.Set) func(Streams, []string) error {
	return func(s Streams, words []string) error {
		if len(words) == 0 {
			words = []string{""}
		}
		last := words[len(words)-1]
		found := candidates(words[:len(words)-1], strings.HasPrefix(last, "-"))
		for _, word := range slices.Sorted(maps.Keys(found)) {
			if strings.HasPrefix(word, last) {
				fmt.Fprintf(s.Out, "%s\t%s\n", word, found[word])
			}
		}
		return nil
	}
}

func candidates(before []string, flag bool) map[string]string {
	found := map[string]string{}
	if len(before) == 0 {
		for _, c := range Commands() {
			if name, _, group := strings.Cut(c.Name, " "); !group {
				found[name] = c.Short
			}
		}
		for name, text := range groupTexts {
			found[name] = text
		}
		return found
	}
	if group := groupOf(before[0]); group != nil && len(before) == 1 {
		for word, words := range group {
			c, _ := find(words[0])
			found[word] = c.Short
		}
		return found
	}
	c, _, _, err := resolve(before)
	switch {
	case err != nil:
	case flag:
		set := flags.New(c.Name)
		c.Flags(set)
		for _, f := range set.All() {
			found["--"+f.Name] = f.Usage
			if f.Short != "" {
				found["-"+f.Short] = f.Usage
			}
		}
	default:
		objects(c.Args, found)
	}
	return found
}

// objects are names of what the command is about.
func objects(args string, found map[string]string) {
	host, err := start.OpenHost()
	if err != nil {
		return
	}
	if strings.Contains(args, "CONTAINER") {
		list, _ := container.List(host.Dirs)
		for _, i := range list {
			found[i.Name()] = i.Image
		}
	}
	if strings.Contains(args, "IMAGE") {
		names, _ := host.Dirs.Names()
		for id, list := range names {
			for _, name := range list {
				found[name] = short(id)
			}
		}
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
	slices.Sort(names)
	return names
}
