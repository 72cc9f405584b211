package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	luajson "layeh.com/gopher-json"
)

// health is what a health check of Argo CD returns.
type health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// Argo CD stops a script after this time.
const scriptTime = time.Second

// The libraries a script of argocd-cm gets without useOpenLibs; those of string and math are not among them.
var libraries = []struct {
	name string
	open lua.LGFunction
}{
	{lua.LoadLibName, lua.OpenPackage},
	{lua.BaseLibName, lua.OpenBase},
	{lua.TabLibName, lua.OpenTable},
}

// argoHealth is what the script says about an object.
func argoHealth(object *unstructured.Unstructured, script string) (health, error) {
	machine := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer machine.Close()
	for _, library := range libraries {
		call := lua.P{Fn: machine.NewFunction(library.open), Protect: true}
		if err := machine.CallByParam(call, lua.LString(library.name)); err != nil {
			return health{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), scriptTime)
	defer cancel()
	machine.SetContext(ctx)
	text, err := object.MarshalJSON()
	if err != nil {
		return health{}, err
	}
	value, err := luajson.Decode(machine, text)
	if err != nil {
		return health{}, err
	}
	machine.SetGlobal("obj", value)
	if err := machine.DoString(script); err != nil {
		return health{}, err
	}
	return asHealth(machine.Get(-1))
}

func asHealth(value lua.LValue) (health, error) {
	if value.Type() != lua.LTTable {
		return health{}, fmt.Errorf("expected a table, got %s", value.Type())
	}
	text, err := luajson.Encode(value)
	if err != nil {
		return health{}, err
	}
	var said health
	if err := json.Unmarshal(text, &said); err != nil {
		return health{}, err
	}
	switch said.Status {
	case "Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown":
		return said, nil
	}
	return health{}, fmt.Errorf("%q is no health status of Argo CD", said.Status)
}
