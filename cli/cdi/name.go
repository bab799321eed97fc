package cdi

import (
	"fmt"
	"strings"
)

// Name is VENDOR/CLASS=DEVICE.
type Name struct{ Kind, Device string }

// String has the form of the command line.
func (n Name) String() string { return n.Kind + "=" + n.Device }

// ParseName reads a qualified name of a device.
func ParseName(text string) (n Name, err error) {
	kind, device, ok := strings.Cut(text, "=")
	if !ok || device == "" {
		return n, fmt.Errorf("unqualified device %q: VENDOR/CLASS=NAME, as nvidia.com/gpu=0", text)
	}
	if err := checkKind(kind); err != nil {
		return n, err
	}
	return Name{kind, device}, checkDevice(device)
}

const (
	mostVendor = 253
	mostClass  = 63
)

func checkKind(kind string) error {
	vendor, class, ok := strings.Cut(kind, "/")
	switch {
	case !ok:
		return fmt.Errorf("invalid kind %q: VENDOR/CLASS", kind)
	case len(vendor) > mostVendor || !letter(vendor) || !spelled(vendor, "_-.") || strings.Contains(vendor, ".."):
		return fmt.Errorf("invalid kind %q: the vendor is a domain name", kind)
	case len(class) > mostClass || !spelled(class, "_-."):
		return fmt.Errorf("invalid kind %q: the class has letters, digits, and _ - . between them, %d at most", kind, mostClass)
	}
	return nil
}

func checkDevice(name string) error {
	if !spelled(name, "_-.:") {
		return fmt.Errorf("invalid device name %q: letters, digits, and _ - . : between them", name)
	}
	return nil
}

func letter(text string) bool {
	return text != "" && (text[0] >= 'a' && text[0] <= 'z' || text[0] >= 'A' && text[0] <= 'Z')
}

// spelled: letters and digits, with others between them.
func spelled(text, between string) bool {
	for n := range len(text) {
		c := text[n]
		plain := c >= '0' && c <= '9' || letter(text[n:])
		if !plain && (n == 0 || n == len(text)-1 || !strings.ContainsRune(between, rune(c))) {
			return false
		}
	}
	return text != ""
}
