package security

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
)

// AppArmorEnabled says whether the kernel enforces AppArmor (apparmor(7)).
func AppArmorEnabled() bool {
	text, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && len(text) > 0 && text[0] == 'Y'
}

// AppArmorLoaded says whether a profile is loaded. The list is readable only
// by root on most hosts: then the error is os.ErrPermission.
func AppArmorLoaded(name string) (bool, error) {
	file, err := os.Open("/sys/kernel/security/apparmor/profiles")
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("listing AppArmor profiles: %w", err)
	}
	defer file.Close()
	return listed(bufio.NewScanner(file), name)
}

// listed: a line is "NAME (MODE)".
func listed(lines *bufio.Scanner, name string) (bool, error) {
	for lines.Scan() {
		if at := strings.LastIndex(lines.Text(), " ("); at >= 0 && lines.Text()[:at] == name {
			return true, nil
		}
	}
	return false, lines.Err()
}
