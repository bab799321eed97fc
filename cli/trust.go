package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/image"
	"containers/rl/image/trust"
)

// imageTrust is podman-image-trust(1).
type imageTrust struct {
	raw, json, plain bool
	kind             string
	keys             []string
	policy           string
}

func imageTrustFlags(f *flags.Set) func(Streams, []string) error {
	var c imageTrust
	f.BoolVar(&c.raw, "raw", false, "policy.json as it is")
	f.BoolVarP(&c.json, "json", "j", false, "for programs")
	f.BoolVarP(&c.plain, "noheading", "n", false, "leave out the head of the table")
	f.StringVarP(&c.kind, "type", "t", trust.GPG, "of set: accept, reject or sigstoreSigned")
	f.StringArrayVarP(&c.keys, "pubkeysfile", "f", nil, "of set: a public key, for sigstoreSigned")
	f.StringVar(&c.policy, "policypath", "", "file with the policy, instead of policy.json")
	return func(s Streams, args []string) error {
		if _, err := start.Directories(); err != nil { // HOME
			return err
		}
		switch {
		case len(args) == 2 && args[0] == "set":
			return c.set(args[1])
		case len(args) > 0 && len(args) < 3 && args[0] == "show":
			return c.show(s, args[1:])
		case len(args) > 0 && args[0] == "set":
			return usageError{Text: "image trust set needs default or a registry, repository or image", Command: "image trust"}
		}
		return usageError{Text: "image trust needs show or set", Command: "image trust"}
	}
}

// trustRow has podman's names.
type trustRow struct {
	Transport string `json:"transport"`
	Name      string `json:"name"`
	RepoName  string `json:"repo_name,omitempty"`
	Type      string `json:"type"`
	ID        string `json:"gpg_id,omitempty"`
	Store     string `json:"sigstore,omitempty"`
}

// trustWords are podman's for the types of requirements.
var trustWords = map[string]string{trust.Accept: "accept", trust.Reject: "reject", trust.GPG: "signed"}

func trustWord(list []trust.Requirement) string {
	if word := trustWords[list[0].Type]; word != "" {
		return word
	}
	return list[0].Type
}

func (c *imageTrust) show(s Streams, scopes []string) error {
	p, err := trust.Load(c.policy, os.Getenv)
	if err != nil {
		return err
	}
	if p == nil {
		p = &trust.Policy{Default: []trust.Requirement{{Type: trust.Accept}}}
	}
	if c.raw {
		return printPolicy(s.Out, p)
	}
	rows := trustRows(p)
	if len(scopes) > 0 {
		rows = slices.DeleteFunc(rows, func(r trustRow) bool { return r.RepoName != scopes[0] })
		if len(rows) == 0 {
			if p.Path == "" {
				return fmt.Errorf("no policy for %s: there is no policy.json, all images are taken", scopes[0])
			}
			return fmt.Errorf("no policy for %s: the default of %s is for it", scopes[0], p.Path)
		}
	}
	if c.json {
		return printJSON(s.Out, rows)
	}
	table := tabwriter.NewWriter(s.Out, 12, 2, 2, ' ', 0) // as podman has it here
	if !c.plain {
		fmt.Fprintln(table, "TRANSPORT\tNAME\tTYPE\tID\tSTORE")
	}
	for _, r := range rows {
		fmt.Fprintln(table, strings.Join([]string{r.Transport, r.RepoName, r.Type, r.ID, r.Store}, "\t"))
	}
	return table.Flush()
}

// printPolicy prints the file, or what is the policy without one.
func printPolicy(out io.Writer, p *trust.Policy) error {
	if p.Path == "" {
		return printJSON(out, p)
	}
	text, err := os.ReadFile(p.Path)
	if err == nil {
		_, err = out.Write(text)
	}
	return err
}

func trustRows(p *trust.Policy) []trustRow {
	rows := []trustRow{{Transport: "all", Name: "* (default)", RepoName: "default", Type: trustWord(p.Default)}}
	for _, transport := range slices.Sorted(maps.Keys(p.Transports)) {
		word := transport
		if transport == "docker" {
			word = "repository"
		}
		for _, scope := range slices.Sorted(maps.Keys(p.Transports[transport])) {
			list := p.Transports[transport][scope]
			row := trustRow{Transport: word, Name: scope, RepoName: scope, Type: trustWord(list)}
			if list[0].Type == trust.Sigstore {
				row.ID = "N/A"
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// set changes the user's policy; the first time that is a copy of the host's.
func (c *imageTrust) set(scope string) error {
	if !isTrustScope(scope) {
		return fmt.Errorf("invalid image uri: %q is neither default nor a registry, a repository or an image", scope)
	}
	list, err := c.requirements()
	if err != nil {
		return err
	}
	p, err := trust.Load(c.policy, os.Getenv)
	if err != nil && (c.policy == "" || !errors.Is(err, os.ErrNotExist)) {
		return err
	}
	if p == nil {
		p = &trust.Policy{Default: []trust.Requirement{{Type: trust.Accept}}}
	}
	if scope == "default" {
		p.Default = list
	} else {
		if p.Transports == nil {
			p.Transports = map[string]map[string][]trust.Requirement{}
		}
		if p.Transports["docker"] == nil {
			p.Transports["docker"] = map[string][]trust.Requirement{}
		}
		p.Transports["docker"][scope] = list
	}
	path := c.policy
	if path == "" {
		path = trust.UserFile(os.Getenv)
	}
	return p.Save(path)
}

// isTrustScope: default, *.DOMAIN, HOST[:PORT], or a name of it with what follows.
func isTrustScope(scope string) bool {
	name := strings.TrimPrefix(scope, "*.")
	_, named := image.ParseReference(name)
	_, host := image.ParseReference(name + "/x")
	return !strings.Contains(scope, "://") && (named == nil || host == nil)
}

func (c *imageTrust) requirements() (list []trust.Requirement, err error) {
	kinds := map[string]string{"accept": trust.Accept, trust.Accept: trust.Accept, "reject": trust.Reject, trust.Sigstore: trust.Sigstore, trust.GPG: trust.GPG}
	kind, ok := kinds[c.kind]
	switch {
	case !ok:
		return nil, fmt.Errorf("invalid choice: %s: --type accept, reject or sigstoreSigned", c.kind)
	case kind == trust.GPG:
		return nil, errors.New("signedBy is not supported: rl verifies no GPG signatures: --type sigstoreSigned")
	case kind == trust.Sigstore && len(c.keys) == 0:
		return nil, errors.New("sigstoreSigned needs a public key: --pubkeysfile FILE")
	case kind != trust.Sigstore && len(c.keys) > 0:
		return nil, fmt.Errorf("%s takes no key", c.kind)
	case kind != trust.Sigstore:
		return []trust.Requirement{{Type: kind}}, nil
	}
	for _, file := range c.keys {
		if file, err = filepath.Abs(file); err != nil {
			return nil, err
		}
		if _, err := os.Stat(file); err != nil {
			return nil, err
		}
		list = append(list, trust.Requirement{Type: kind, KeyPath: file})
	}
	return list, nil
}
