package image

import (
	"strings"
	"testing"
)

func TestOtherPlatform(t *testing.T) {
	for _, test := range []struct{ config, platform, want string }{
		{`{"os":"linux","architecture":"amd64"}`, "linux/amd64", ""},
		{`{"os":"linux","architecture":"amd64"}`, "amd64", ""},
		{`{"os":"linux","architecture":"amd64"}`, "linux/arm64", "linux/amd64"},
		{`{"os":"windows","architecture":"amd64"}`, "linux/amd64", "windows/amd64"},
		{`{"os":"linux","architecture":"arm64"}`, "linux/arm64/v8", ""},
		{`{"os":"linux","architecture":"arm64","variant":"v8"}`, "linux/arm64", ""},
		{`{"os":"linux","architecture":"arm","variant":"v6"}`, "linux/arm/v7", "linux/arm/v6"},
		{`{"os":"linux","architecture":"arm"}`, "linux/arm/v7", ""},
		{`{}`, "linux/s390x", ""},
	} {
		if got, err := OtherPlatform([]byte(test.config), test.platform); got != test.want || err != nil {
			t.Errorf("%s for %s: %q, %v, want %q", test.config, test.platform, got, err, test.want)
		}
	}
	if _, err := OtherPlatform([]byte("{"), "linux/amd64"); err == nil {
		t.Error("half a configuration is taken")
	}
	if _, err := OtherPlatform([]byte("{}"), "a/b/c/d"); err == nil || !strings.Contains(err.Error(), "a/b/c/d") {
		t.Errorf("a platform of four parts: %v", err)
	}
}
