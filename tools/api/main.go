// Command api prints the exported surface of every released package, one line a
// symbol. The gate compares its output with api.txt, so that nobody changes the
// surface unintentionally.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"go/types"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// released are the folders of the modules that have a release with packages to
// import.
var released = []string{".", "redisfleet"}

func main() {
	log.SetFlags(0)
	if err := run(os.Stdout, ".."); err != nil {
		log.Fatal(err)
	}
}

func run(w io.Writer, root string) error {
	out := bufio.NewWriter(w)
	for _, folder := range released {
		lines, err := surface(filepath.Join(root, folder), "./...")
		if err != nil {
			return err
		}
		for _, line := range lines {
			fmt.Fprintln(out, line)
		}
	}
	return out.Flush()
}

// surface returns the sorted lines of the packages that pattern selects in the
// module in folder.
func surface(folder, pattern string) ([]string, error) {
	loaded, err := packages.Load(&packages.Config{
		Dir: folder, Mode: packages.NeedName | packages.NeedTypes | packages.NeedImports,
	}, pattern)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, p := range loaded {
		for _, failure := range p.Errors {
			err = errors.Join(err, failure)
		}
		if importable(p) {
			lines = append(lines, symbols(p.Types)...)
		}
	}
	slices.Sort(lines)
	return lines, err
}

func importable(p *packages.Package) bool {
	folders := strings.Split(p.PkgPath, "/")
	return p.Name != "main" && !slices.Contains(folders, "internal") && !slices.Contains(folders, "examples")
}

func symbols(p *types.Package) []string {
	inside := types.RelativeTo(p)
	var lines []string
	add := func(format string, args ...any) {
		lines = append(lines, p.Path()+": "+fmt.Sprintf(format, args...))
	}
	for _, name := range p.Scope().Names() {
		object := p.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		switch object := object.(type) {
		case *types.Const:
			add("const %s %s = %s", name, types.TypeString(object.Type(), inside), object.Val().ExactString())
		case *types.TypeName:
			add("type %s %s", name, kind(object, inside))
			for _, member := range members(object, inside) {
				add("%s", member)
			}
		default:
			add("%s", types.ObjectString(unnamed(object), inside))
		}
	}
	return lines
}

// kind describes a type without its fields and methods, which have lines of
// their own.
func kind(name *types.TypeName, inside types.Qualifier) string {
	if name.IsAlias() {
		return "= " + types.TypeString(types.Unalias(name.Type()), inside)
	}
	switch underlying := name.Type().Underlying().(type) {
	case *types.Struct:
		return "struct"
	case *types.Interface:
		return "interface"
	default:
		return types.TypeString(underlying, inside)
	}
}

// members returns the exported fields and methods of a type.
func members(name *types.TypeName, inside types.Qualifier) []string {
	if name.IsAlias() {
		return nil
	}
	var lines []string
	if fields, ok := name.Type().Underlying().(*types.Struct); ok {
		for field := range fields.Fields() {
			if field.Exported() {
				lines = append(lines, fmt.Sprintf("field %s.%s %s", name.Name(), field.Name(), types.TypeString(field.Type(), inside)))
			}
		}
	}
	receiver := name.Type()
	if !types.IsInterface(receiver) {
		receiver = types.NewPointer(receiver)
	}
	for method := range types.NewMethodSet(receiver).Methods() {
		if object := method.Obj(); object.Exported() {
			lines = append(lines, strings.Replace(types.ObjectString(unnamed(object), inside), "func", "method", 1))
		}
	}
	return lines
}

// unnamed returns a function without the names of its parameters, which can
// change without breaking anybody's code. It returns other objects unchanged.
func unnamed(object types.Object) types.Object {
	function, ok := object.(*types.Func)
	if !ok {
		return object
	}
	without := func(named *types.Tuple) *types.Tuple {
		var vars []*types.Var
		for v := range named.Variables() {
			vars = append(vars, types.NewParam(v.Pos(), v.Pkg(), "", v.Type()))
		}
		return types.NewTuple(vars...)
	}
	s := function.Signature()
	return types.NewFunc(function.Pos(), function.Pkg(), function.Name(), types.NewSignatureType(s.Recv(), nil, nil, without(s.Params()), without(s.Results()), s.Variadic()))
}
