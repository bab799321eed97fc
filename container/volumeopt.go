package container

import (
	"fmt"
	"strconv"
	"strings"

	"containers/rl/storage"
)

// VolumeOwner reads o=uid=1,gid=2.
func VolumeOwner(v *storage.Volume) (uid, gid int) {
	for _, word := range strings.Split(v.Option("o"), ",") {
		if text, ok := strings.CutPrefix(word, "uid="); ok {
			uid, _ = strconv.Atoi(text)
		}
		if text, ok := strings.CutPrefix(word, "gid="); ok {
			gid, _ = strconv.Atoi(text)
		}
	}
	return uid, gid
}

// CheckVolumeOwner refuses ids that no file can have here.
func CheckVolumeOwner(h Host, v *storage.Volume) error {
	uid, gid := VolumeOwner(v)
	_, user := h.IDs.HostUID(uint32(uid))
	_, group := h.IDs.HostGID(uint32(gid))
	if !user || !group {
		return fmt.Errorf("volume %s: o=%s: the user namespace does not have these ids: rl unshare cat /proc/self/uid_map", v.Name, v.Option("o"))
	}
	return nil
}

// CheckVolumeOptions takes what can ever be mounted; whether it can be here is
// seen then.
func CheckVolumeOptions(v *storage.Volume) error {
	for _, option := range v.Options {
		name, value, set := strings.Cut(option, "=")
		switch {
		case (name == "type" || name == "device" || name == "o") && set:
		case name == "copy" || name == "nocopy":
			if value != "" {
				return fmt.Errorf("--opt %s: %s takes no value", option, name)
			}
		default:
			return fmt.Errorf("--opt %s: invalid option for the local driver: type, device, o, copy or nocopy", option)
		}
		if name == "o" {
			if err := checkMountWords(value); err != nil {
				return fmt.Errorf("--opt %s: %w", option, err)
			}
		}
	}
	if limit := sizeLimit(v); limit != "" {
		return fmt.Errorf("--opt o=%s: a limit of a directory is a quota of its file system, which only root can set; without root a tmpfs has one: -o type=tmpfs -o device=tmpfs -o o=%s", limit, limit)
	}
	if kind := v.Option("type"); kind == "none" || kind == "bind" {
		if device := v.Option("device"); !strings.HasPrefix(device, "/") {
			return fmt.Errorf("--opt type=%s: device must be an absolute path", kind)
		}
	}
	return nil
}

// sizeLimit is the size that is asked for where nothing can keep it.
func sizeLimit(v *storage.Volume) string {
	if kind := v.Option("type"); kind != "" && kind != "none" && kind != "bind" {
		return "" // of a file system of its own
	}
	for _, word := range strings.Split(v.Option("o"), ",") {
		if word == "size" || strings.HasPrefix(word, "size=") {
			return word
		}
	}
	return ""
}

func checkMountWords(text string) error {
	for _, word := range strings.Split(text, ",") {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "uid", "gid":
			if _, err := strconv.ParseUint(value, 10, 31); err != nil {
				return fmt.Errorf("%s %q: a number", name, value)
			}
		case "inodes", "noquota", "timeout", "quota":
			return fmt.Errorf("%s: quotas and plugins need root", name)
		}
	}
	return nil
}
