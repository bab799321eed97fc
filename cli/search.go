package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/image"
)

// searchColumns are docker's and podman's (podman-search(1)).
var searchColumns = map[string]column[image.SearchResult]{
	"Index":       {"INDEX", func(r image.SearchResult) any { return r.Index }},
	"Name":        {"NAME", func(r image.SearchResult) any { return r.Name }},
	"Description": {"DESCRIPTION", func(r image.SearchResult) any { return r.Description }},
	"Stars":       {"STARS", func(r image.SearchResult) any { return r.Stars }},
	"StarCount":   {"STARS", func(r image.SearchResult) any { return r.Stars }},
	"Official":    {"OFFICIAL", func(r image.SearchResult) any { return mark(r.Official) }},
	"IsOfficial":  {"OFFICIAL", func(r image.SearchResult) any { return mark(r.Official) }},
	"Automated":   {"AUTOMATED", func(r image.SearchResult) any { return mark(r.Automated) }},
	"IsAutomated": {"AUTOMATED", func(r image.SearchResult) any { return mark(r.Automated) }},
	"Tag":         {"TAG", func(r image.SearchResult) any { return r.Tag }},
}

func mark(is bool) string {
	if is {
		return "[OK]"
	}
	return ""
}

type searchOptions struct {
	limit, format          string
	long, tags, compatible bool
	filters                []string
	stars                  int
	official, automated    *bool
}

func searchFlags(f *flags.Set) func(Streams, []string) error {
	a, o := image.Access{}, &searchOptions{}
	check := registryFlags(f, &a)
	f.StringVar(&o.limit, "limit", "25", "most results of a registry")
	f.StringVar(&o.format, "format", "", "json, [table] TEMPLATE, or nothing for a table")
	f.BoolVar(&o.long, "no-trunc", false, "show whole descriptions")
	f.BoolVar(&o.tags, "list-tags", false, "list the tags of a repository")
	f.BoolVar(&o.compatible, "compatible", false, "show docker's columns")
	f.StringArrayVarP(&o.filters, "filter", "f", nil, "stars=N|is-official=BOOL|is-automated=BOOL")
	return func(s Streams, args []string) error {
		if len(args) != 1 {
			return usageError{Text: fmt.Sprintf("accepts 1 arg(s), received %d: a term to search for", len(args)), Command: "search"}
		}
		if err := o.parse(); err != nil {
			return usageError{Text: err.Error(), Command: "search"}
		}
		if err := check(s); err != nil {
			return err
		}
		return o.search(s, args[0], a)
	}
}

func (o *searchOptions) parse() error {
	for _, text := range o.filters {
		key, value, _ := strings.Cut(text, "=")
		switch key {
		case "stars":
			n, err := strconv.Atoi(value)
			if err != nil {
				return fmt.Errorf("incorrect value type for stars filter: %q", value)
			}
			o.stars = n
		case "is-official", "is-automated":
			is, err := strconv.ParseBool(value)
			if err != nil && value != "" {
				return fmt.Errorf("incorrect value type for %s filter: %q", key, value)
			}
			is = is || value == ""
			if key == "is-official" {
				o.official = &is
			} else {
				o.automated = &is
			}
		default:
			return fmt.Errorf("invalid filter type %q: stars, is-official or is-automated", key)
		}
	}
	if o.tags && len(o.filters) > 0 {
		return fmt.Errorf("filters are not applicable to list tags result")
	}
	return nil
}

func (o *searchOptions) search(s Streams, term string, a image.Access) error {
	limit, err := strconv.Atoi(o.limit)
	if err != nil || limit < 1 {
		return usageError{Text: fmt.Sprintf("--limit %s: a number above 0", o.limit), Command: "search"}
	}
	if o.tags {
		return o.listTags(s, term, limit, a)
	}
	list, err := image.Search(context.Background(), strings.TrimPrefix(term, "docker://"), limit, a)
	if err != nil {
		return err
	}
	kept := []image.SearchResult{}
	for _, r := range list {
		if r.Stars < o.stars || o.official != nil && *o.official != r.Official || o.automated != nil && *o.automated != r.Automated {
			continue
		}
		if text := []rune(strings.ReplaceAll(r.Description, "\n", " ")); !o.long && len(text) > 44 {
			r.Description = string(text[:44]) + "..."
		}
		kept = append(kept, r)
	}
	table := "{{.Name}}\t{{.Description}}"
	if o.compatible {
		table = "{{.Name}}\t{{.Description}}\t{{.Stars}}\t{{.Official}}\t{{.Automated}}"
	}
	if len(kept) == 0 && o.format == "" {
		return nil
	}
	return listing[image.SearchResult]{table: table, columns: searchColumns}.print(s.Out, o.format, kept, kept)
}

func (o *searchOptions) listTags(s Streams, repository string, limit int, a image.Access) error {
	full, err := image.Tags([]string{strings.TrimPrefix(repository, "docker://")}, a)
	if err != nil {
		return err
	}
	list := []image.SearchResult{}
	type tagsOf struct {
		Name string
		Tags []string
	}
	whole := []tagsOf{{Tags: []string{}}}
	for _, name := range full[:min(limit, len(full))] {
		repository, tag := splitTag(name)
		list = append(list, image.SearchResult{Name: repository, Tag: tag})
		whole[0].Name, whole[0].Tags = repository, append(whole[0].Tags, tag)
	}
	return listing[image.SearchResult]{table: "{{.Name}}\t{{.Tag}}", columns: searchColumns}.print(s.Out, o.format, list, whole)
}
