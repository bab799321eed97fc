package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
)

// inspectedSecret is a secret as podman and docker show it. Its data is shown
// nowhere.
type inspectedSecret struct {
	ID        string
	CreatedAt time.Time
	UpdatedAt time.Time
	Spec      secretSpec
}

type secretSpec struct {
	Name   string
	Driver struct {
		Name    string
		Options map[string]string
	}
	Labels map[string]string
}

func inspectSecret(d storage.Dirs, s *storage.Secret) inspectedSecret {
	v := inspectedSecret{ID: s.ID, CreatedAt: s.Created, UpdatedAt: s.Updated, Spec: secretSpec{Name: s.Name, Labels: pairMap(s.Labels)}}
	v.Spec.Driver.Name, v.Spec.Driver.Options = "file", map[string]string{"path": d.SecretDir()}
	return v
}

func secretCreateFlags(f *flags.Set) func(Streams, []string) error {
	driver := f.StringP("driver", "d", "file", "file is the only one")
	fromEnv := f.Bool("env", false, "FILE is the name of a variable")
	replace := f.Bool("replace", false, "take the place of a secret of this name")
	s := &storage.Secret{}
	f.StringArrayVarP(&s.Labels, "label", "l", nil, "NAME[=VALUE], for people")
	var driverOpts []string
	f.StringArrayVar(&driverOpts, "driver-opts", nil, "the file driver takes none")
	return func(streams Streams, args []string) error {
		switch {
		case len(args) != 2:
			return usageError{Text: fmt.Sprintf("accepts 2 arg(s), received %d: a name, and a file or - for standard input", len(args)), Command: "secret create"}
		case *driver != "file":
			return fmt.Errorf("creating secret %s: driver %s: there is no secret driver but file", args[0], *driver)
		case len(driverOpts) > 0:
			return fmt.Errorf("creating secret %s: --driver-opts %s: the file driver takes none", args[0], driverOpts[0])
		}
		data, err := secretData(streams, args[1], *fromEnv)
		if err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		s.Name, s.Data = args[0], data
		if err = host.Dirs.CreateSecret(s, *replace); err == nil {
			happened(host.Dirs, "secret", "create", s.ID, s.Name)
			_, err = fmt.Fprintln(streams.Out, s.ID)
		}
		return err
	}
}

// secretData reads no more than a secret may have.
func secretData(s Streams, from string, env bool) ([]byte, error) {
	if env {
		value, there := os.LookupEnv(from)
		if !there {
			return nil, fmt.Errorf("cannot create store secret data: environment variable %s is not set", from)
		}
		return []byte(value), nil
	}
	in := s.In
	if from != "-" {
		file, err := os.Open(from)
		if err != nil {
			return nil, fmt.Errorf("reading the secret: %w", err)
		}
		defer file.Close()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, storage.MaxSecret))
	if err != nil {
		return nil, fmt.Errorf("reading the secret: %w", err)
	}
	return data, nil
}

var secretColumns = map[string]column[inspectedSecret]{
	"ID": {"ID", func(s inspectedSecret) any { return s.ID }}, "Name": {"NAME", func(s inspectedSecret) any { return s.Spec.Name }},
	"Driver": {"DRIVER", func(s inspectedSecret) any { return s.Spec.Driver.Name }}, "CreatedAt": {"CREATED", func(s inspectedSecret) any { return ago(s.CreatedAt) }},
	"UpdatedAt": {"UPDATED", func(s inspectedSecret) any { return ago(s.UpdatedAt) }}, "Labels": {"LABELS", func(s inspectedSecret) any { return joinPairs(s.Spec.Labels) }},
	"Spec": {"SPEC", func(s inspectedSecret) any { return s.Spec }},
}

func secretListFlags(f *flags.Set) func(Streams, []string) error {
	quiet := f.BoolP("quiet", "q", false, "show ids alone")
	format := f.String("format", "", "json, [table] TEMPLATE, or nothing for a table")
	noHead := f.BoolP("noheading", "n", false, "leave out the head of the table")
	var filters []string
	f.StringArrayVarP(&filters, "filter", "f", nil, "name|id=VALUE")
	return func(s Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "secret ls takes no argument", Command: "secret ls"}
		}
		passes, err := secretFilter(filters)
		if err != nil {
			return usageError{Text: err.Error(), Command: "secret ls"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		list, unread := host.Dirs.Secrets()
		rows := []inspectedSecret{}
		for _, secret := range list {
			if passes(secret) {
				rows = append(rows, inspectSecret(host.Dirs, secret))
			}
		}
		if *quiet {
			*format = "{{.ID}}"
		}
		l := listing[inspectedSecret]{table: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.CreatedAt}}\t{{.UpdatedAt}}", columns: secretColumns, noHead: *noHead,
			labels: func(s inspectedSecret) map[string]string { return s.Spec.Labels }}
		return errors.Join(l.print(s.Out, *format, rows, rows), unread)
	}
}

func secretFilter(texts []string) (func(*storage.Secret) bool, error) {
	var names []*regexp.Regexp
	var ids []string
	for _, text := range texts {
		switch key, value, _ := strings.Cut(text, "="); key {
		case "name":
			pattern, err := regexp.Compile(value)
			if err != nil {
				return nil, fmt.Errorf("--filter %s: %w", text, err)
			}
			names = append(names, pattern)
		case "id":
			ids = append(ids, value)
		default:
			return nil, fmt.Errorf("invalid filter %q: name or id", key)
		}
	}
	return func(s *storage.Secret) bool {
		return (names == nil || slices.ContainsFunc(names, func(p *regexp.Regexp) bool { return p.MatchString(s.Name) })) &&
			(ids == nil || slices.ContainsFunc(ids, func(id string) bool { return strings.HasPrefix(s.ID, id) }))
	}, nil
}

func secretInspectFlags(f *flags.Set) func(Streams, []string) error {
	format := f.StringP("format", "f", "", "json, or a template")
	pretty := f.Bool("pretty", false, "for people")
	return func(s Streams, args []string) error {
		if len(args) == 0 {
			return usageError{Text: "secret inspect needs a secret", Command: "secret inspect"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		rows, failed := []any{}, []error{}
		for _, ref := range args {
			secret, err := host.Dirs.FindSecret(ref)
			if err != nil {
				failed = append(failed, fmt.Errorf("inspecting secret: %w", err))
				continue
			}
			rows = append(rows, inspectSecret(host.Dirs, secret))
		}
		if *pretty {
			return errors.Join(append(failed, printPretty(s, rows))...)
		}
		return errors.Join(append([]error{printInspected(s, rows, *format)}, failed...)...)
	}
}

func printPretty(s Streams, rows []any) error {
	for _, row := range rows {
		v := row.(inspectedSecret)
		fmt.Fprintf(s.Out, "ID:              %s\nName:              %s\n", v.ID, v.Spec.Name)
		for _, pair := range strings.Split(joinPairs(v.Spec.Labels), ",") {
			if pair != "" {
				fmt.Fprintf(s.Out, "Labels:            - %s\n", pair)
			}
		}
		if _, err := fmt.Fprintf(s.Out, "Driver:            %s\nCreated at:        %s\nUpdated at:        %s\n", v.Spec.Driver.Name, v.CreatedAt, v.UpdatedAt); err != nil {
			return err
		}
	}
	return nil
}

func secretRemoveFlags(f *flags.Set) func(Streams, []string) error {
	all := f.BoolP("all", "a", false, "all secrets")
	ignore := f.BoolP("ignore", "i", false, "do not mind a secret that is not there")
	return func(s Streams, args []string) error {
		if *all == (len(args) > 0) {
			return usageError{Text: "secret rm needs secrets, or --all", Command: "secret rm"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		var failed []error
		if *all {
			list, unread := host.Dirs.Secrets()
			failed = []error{unread}
			for _, secret := range list {
				args = append(args, secret.Name)
			}
		}
		for _, ref := range args {
			secret, err := host.Dirs.FindSecret(ref)
			if errors.Is(err, storage.ErrSecretDamaged) && !errors.Is(err, storage.ErrNoSecret) {
				secret, err = &storage.Secret{ID: ref, Name: ref}, nil
			}
			if err == nil {
				err = host.Dirs.RemoveSecret(secret)
			}
			switch {
			case errors.Is(err, storage.ErrNoSecret) && (*ignore || *all):
			case err != nil:
				failed = append(failed, err)
			default:
				happened(host.Dirs, "secret", "remove", secret.ID, secret.Name)
				fmt.Fprintln(s.Out, secret.ID)
			}
		}
		return errors.Join(failed...)
	}
}

func secretExistsFlags(*flags.Set) func(Streams, []string) error {
	return func(_ Streams, args []string) error {
		if len(args) != 1 {
			return usageError{Text: fmt.Sprintf("accepts 1 arg(s), received %d", len(args)), Command: "secret exists"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		_, err = host.Dirs.FindSecret(args[0])
		if errors.Is(err, storage.ErrNoSecret) {
			return container.Exit{Code: 1}
		}
		return err
	}
}
