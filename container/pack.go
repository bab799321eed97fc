package container

import (
	"encoding/binary"
	"math"
	"reflect"
	"strings"
	"time"
)

// form is how values of a type are packed: numbers as varints, text and lists
// with their length before them, and of a struct the fields that are not zero,
// each after its number, then 0. It is a tenth of the time of JSON to read.
type form struct {
	kind   reflect.Kind
	typ    reflect.Type
	fields []packed
	key    *form // of a map
	elem   *form
}

type packed struct {
	index int
	form  *form
}

// A time is not packed by its fields, which are its own.
const kindTime = reflect.Kind(255)

// forms makes those of a type and of all types in it, and a description: what
// was packed with another one is something else.
type forms struct {
	made        map[reflect.Type]*form
	description strings.Builder
}

func (f *forms) of(t reflect.Type) *form {
	if known, ok := f.made[t]; ok {
		return known
	}
	made := &form{kind: t.Kind(), typ: t}
	f.made[t] = made
	f.description.WriteString(t.String())
	switch {
	case t == reflect.TypeFor[time.Time]():
		made.kind = kindTime
	case made.kind == reflect.Struct:
		for i := range t.NumField() {
			field := t.Field(i)
			if field.IsExported() && field.Tag.Get("json") != "-" {
				f.description.WriteString("\n" + field.Name + " " + field.Type.String())
				made.fields = append(made.fields, packed{i, f.of(field.Type)})
			}
		}
	case made.kind == reflect.Map:
		made.key, made.elem = f.of(t.Key()), f.of(t.Elem())
	case made.kind == reflect.Slice, made.kind == reflect.Array, made.kind == reflect.Pointer:
		made.elem = f.of(t.Elem())
	}
	return made
}

// pack appends a value; not ok: it has something that cannot be packed.
func (f *form) pack(b []byte, v reflect.Value) (packed []byte, ok bool) {
	switch f.kind {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float64:
		return binary.AppendUvarint(b, number(v)), true
	case reflect.String:
		return append(binary.AppendUvarint(b, uint64(v.Len())), v.String()...), true
	case kindTime:
		t := v.Interface().(time.Time)
		return binary.AppendUvarint(binary.AppendVarint(b, t.Unix()), uint64(t.Nanosecond())), true
	case reflect.Struct:
		return f.packStruct(b, v)
	case reflect.Pointer:
		if v.IsNil() {
			return b, false
		}
		return f.elem.pack(b, v.Elem())
	case reflect.Slice, reflect.Array:
		b, ok = binary.AppendUvarint(b, uint64(v.Len())), true
		for i := 0; i < v.Len() && ok; i++ {
			b, ok = f.elem.pack(b, v.Index(i))
		}
		return b, ok
	case reflect.Map:
		b, ok = binary.AppendUvarint(b, uint64(v.Len())), true
		for pair := v.MapRange(); ok && pair.Next(); {
			if b, ok = f.key.pack(b, pair.Key()); ok {
				b, ok = f.elem.pack(b, pair.Value())
			}
		}
		return b, ok
	}
	return b, false
}

func (f *form) packStruct(b []byte, v reflect.Value) (packed []byte, ok bool) {
	for n, field := range f.fields {
		value := v.Field(field.index)
		if value.IsZero() {
			continue
		}
		if b, ok = field.form.pack(binary.AppendUvarint(b, uint64(n+1)), value); !ok {
			return b, false
		}
	}
	return append(b, 0), true
}

func number(v reflect.Value) uint64 {
	switch {
	case v.Kind() == reflect.Bool && v.Bool():
		return 1
	case v.Kind() == reflect.Bool:
		return 0
	case v.CanInt():
		return uint64(v.Int())
	case v.CanFloat():
		return math.Float64bits(v.Float())
	}
	return v.Uint()
}

// unpacker reads what was packed. Once something is wrong all that follows is
// nothing, and nothing more is made for it.
type unpacker struct {
	text string
	bad  bool
}

func (u *unpacker) number() (n uint64) {
	for shift := 0; shift < 64 && len(u.text) > 0; shift += 7 {
		c := u.text[0]
		u.text = u.text[1:]
		if n |= uint64(c&0x7f) << shift; c < 0x80 {
			return n
		}
	}
	u.bad = true
	return 0
}

// length is that of a text or a list: each element takes a byte at least.
func (u *unpacker) length() int {
	n := u.number()
	if n > uint64(len(u.text)) {
		u.bad = true
		return 0
	}
	return int(n)
}

func (u *unpacker) string() string {
	n := u.length()
	text := u.text[:n]
	u.text = u.text[n:]
	return text
}

// unpack fills a zero value.
func (f *form) unpack(u *unpacker, v reflect.Value) {
	switch f.kind {
	case reflect.String:
		v.SetString(u.string())
	case reflect.Struct:
		for n := u.number(); n != 0 && !u.bad; n = u.number() {
			if n > uint64(len(f.fields)) {
				u.bad = true
				return
			}
			field := f.fields[n-1]
			field.form.unpack(u, v.Field(field.index))
		}
	case kindTime:
		n := u.number()
		at := time.Unix(int64(n>>1)^-int64(n&1), int64(u.number()%1e9)).UTC()
		*v.Addr().Interface().(*time.Time) = at
	case reflect.Pointer:
		v.Set(reflect.New(f.elem.typ))
		f.elem.unpack(u, v.Elem())
	case reflect.Slice, reflect.Array, reflect.Map:
		f.unpackMany(u, v)
	case reflect.Bool:
		v.SetBool(u.number() != 0)
	case reflect.Float64:
		v.SetFloat(math.Float64frombits(u.number()))
	default:
		switch {
		case v.CanInt():
			v.SetInt(int64(u.number()))
		case v.CanUint():
			v.SetUint(u.number())
		default:
			u.bad = true
		}
	}
}

func (f *form) unpackMany(u *unpacker, v reflect.Value) {
	n := u.length()
	if words, ok := v.Addr().Interface().(*[]string); ok { // most are
		*words = make([]string, n)
		for i := 0; i < n && !u.bad; i++ {
			(*words)[i] = u.string()
		}
		return
	}
	if f.kind == reflect.Map {
		v.Set(reflect.MakeMapWithSize(f.typ, n))
		for ; n > 0 && !u.bad; n-- {
			key, value := reflect.New(f.key.typ).Elem(), reflect.New(f.elem.typ).Elem()
			f.key.unpack(u, key)
			f.elem.unpack(u, value)
			v.SetMapIndex(key, value)
		}
		return
	}
	if f.kind == reflect.Slice {
		v.Set(reflect.MakeSlice(f.typ, n, n))
	}
	if n != v.Len() {
		u.bad = true
	}
	for i := 0; i < n && !u.bad; i++ {
		f.elem.unpack(u, v.Index(i))
	}
}
