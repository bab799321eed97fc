package shared

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// OptionsVariable has the options of podman's --storage-opt, separated by
// commas. They are in place of those of storage.conf.
const OptionsVariable = "STORAGE_OPTS"

// storageFile is all of containers-storage.conf(5) that rl asks for.
type storageFile struct {
	Storage struct {
		Options struct {
			Stores  []string `toml:"additionalimagestores"`
			Overlay struct {
				Stores []string `toml:"additionalimagestores"`
			} `toml:"overlay"`
		} `toml:"options"`
	} `toml:"storage"`
}

// Roots gives the directories of the stores, in the order in which they are
// searched. What is wrong in the file is an error that names it; the rest of its
// contents are podman's.
func Roots(getenv func(string) string) ([]string, error) {
	if options := getenv(OptionsVariable); options != "" {
		return absolute(OptionsVariable, fromOptions(options))
	}
	for _, file := range files(getenv) {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		var conf storageFile
		if err == nil {
			_, err = toml.Decode(string(text), &conf)
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		return absolute(file, slices.Concat(conf.Storage.Options.Stores, conf.Storage.Options.Overlay.Stores))
	}
	return nil, nil
}

// files are those that may say it: the first that is there does.
func files(getenv func(string) string) []string {
	if file := getenv("CONTAINERS_STORAGE_CONF"); file != "" {
		return []string{file}
	}
	config := getenv("XDG_CONFIG_HOME")
	if !path.IsAbs(config) {
		config = path.Join(getenv("HOME"), ".config")
	}
	return []string{path.Join(config, "containers/storage.conf"), "/etc/containers/storage.conf", "/usr/share/containers/storage.conf"}
}

// fromOptions reads DRIVER.imagestore=PATH and additionalimagestore=PATH. What
// has no name of its own after a comma is one more of the store before.
func fromOptions(options string) (roots []string) {
	ofStore := false
	for option := range strings.SplitSeq(options, ",") {
		key, value, named := strings.Cut(option, "=")
		if named {
			key = key[strings.LastIndexByte(key, '.')+1:]
			ofStore = key == "imagestore" || key == "additionalimagestore"
		} else {
			value = option
		}
		if ofStore && value != "" {
			roots = append(roots, value)
		}
	}
	return roots
}

func absolute(where string, roots []string) (list []string, err error) {
	for _, root := range roots {
		if !path.IsAbs(root) {
			return nil, fmt.Errorf("%s: the image store %q is not named by an absolute path", where, root)
		}
		if root = path.Clean(root); !slices.Contains(list, root) {
			list = append(list, root)
		}
	}
	return list, nil
}
