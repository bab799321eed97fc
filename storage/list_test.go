package storage

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

func TestInstance(t *testing.T) {
	d := testDirs(t)
	record(t, d, idA, []string{"docker.io/library/a:1"}, nil)
	record(t, d, idB, []string{"docker.io/library/b@sha256:" + idB}, nil)
	const list = "cccc000000000000000000000000000000000000000000000000000000000000"
	config := fmt.Sprintf(listStart+`2,"manifests":[{"digest":"d1","platform":{"os":"linux","architecture":%q}},
		{"digest":"d2","platform":{"os":"linux","architecture":"riscv64","variant":"x"}},{"digest":"d3","platform":{"os":"linux","architecture":"s390x"}},
		{"digest":"d4","platform":{"os":"linux","architecture":"mips"}}],
		"Sources":{"d1":{"Local":"%s"},"d2":{"Remote":"docker.io/library/b@sha256:%s"},"d3":{"Remote":"quay.io/c@sha256:%[3]s"},"d4":{"Local":"dddd%[2]s"}}}`, runtime.GOARCH, idA, idB)
	if err := d.Record(&Image{ID: list, Config: []byte(config)}, []string{"localhost/l:latest"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"localhost/l", list, idA} {
		img, err := d.LookupImage(ref)
		if err != nil || img.ID != idA {
			t.Errorf("LookupImage(%q): %v, %v", ref, img, err)
		}
		img.Close()
	}
	img, err := d.Lookup("localhost/l")
	if err != nil || img.ID != list || !img.IsList() {
		t.Fatalf("Lookup gives no list: %v, %v", img, err)
	}
	defer img.Close()
	for _, test := range []struct{ arch, variant, want string }{
		{"riscv64", "", idB}, {"riscv64", "x", idB}, {"riscv64", "y", "has no image for linux/riscv64/y"}, {"ppc64le", "", "has no image"},
		{"s390x", "", "is not here: rl pull quay.io/c@sha256:"}, {"mips", "", "no longer here"},
	} {
		got, err := d.Instance(img, "l", ListPlatform{OS: "linux", Architecture: test.arch, Variant: test.variant})
		if err == nil && got.ID != test.want || err != nil && !strings.Contains(err.Error(), test.want) || errors.Is(err, ErrNoImage) {
			t.Errorf("%s/%s: %v, %v, want %q", test.arch, test.variant, got, err, test.want)
		}
		got.Close()
	}
}
