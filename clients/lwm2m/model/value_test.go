package model

import (
	"reflect"
	"testing"
)

func TestConvert(t *testing.T) {
	for _, test := range []struct {
		typ  Type
		v    any
		want any // nil for an error
	}{
		{Integer, int64(-1), int64(-1)},
		{Integer, uint64(7), int64(7)},
		{Integer, 7.0, int64(7)},
		{Integer, 7.5, nil},
		{Integer, uint64(1 << 63), nil},
		{Integer, float64(1 << 63), nil},
		{Time, uint64(1367491215), int64(1367491215)},
		{Unsigned, uint64(1 << 63), uint64(1 << 63)},
		{Unsigned, int64(-1), nil},
		{Unsigned, -1.0, nil},
		{Float, int64(20), 20.0},
		{Float, "20", nil},
		{Boolean, true, true},
		{Boolean, int64(1), nil},
		{String, "a", "a"},
		{CoreLink, "</a>", "</a>"},
		{Opaque, []byte{1}, []byte{1}},
		{Opaque, "a", nil},
		{ObjectLink, Link{3, 0}, Link{3, 0}},
		{0, 7.5, 7.5},
		{Float, nil, nil},
	} {
		if got, err := Convert(test.typ, test.v); !reflect.DeepEqual(got, test.want) || (err == nil) != (test.want != nil) {
			t.Errorf("%v of %T %v: %v, %v", test.typ, test.v, test.v, got, err)
		}
	}
}

func TestFlat(t *testing.T) {
	nodes := []Node{{NewPath(3, 0, 1), "a", 5}, {NewPath(3, 0, 7), Multiple{2: int64(8), 0: int64(9)}, 6}, {NewPath(3, 0, 8), Multiple{}, 0}}
	want := []Node{{NewPath(3, 0, 1), "a", 5}, {NewPath(3, 0, 7, 0), int64(9), 6}, {NewPath(3, 0, 7, 2), int64(8), 6}}
	if got := Flat(nodes); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}
