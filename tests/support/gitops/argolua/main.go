// Runs Lua scripts in gopher-lua, the interpreter inside Argo CD, with the libraries that Argo CD gives to scripts of
// argocd-cm and no others.
//
// Standard input: a JSON list of {script, object}. Standard output: a list of {result, error}.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

type job struct {
	Script string         `json:"script"`
	Object map[string]any `json:"object"`
}

type outcome struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// limit is the time that Argo CD gives to a script.
const limit = time.Second

// clock stands for the time of day, so that an action's result is the same every time.
var clock = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func safeOS(state *lua.LState) int {
	state.Push(state.SetFuncs(state.NewTable(), map[string]lua.LGFunction{
		"time": func(s *lua.LState) int { s.Push(lua.LNumber(clock.Unix())); return 1 },
		"date": date,
	}))
	return 1
}

// date knows the formats that our scripts use; another one is an error and not a surprise.
func date(state *lua.LState) int {
	format := state.CheckString(1)
	if !strings.HasPrefix(format, "!") {
		state.RaiseError("os.date without ! is local time: %s", format)
	}
	text := strings.NewReplacer("%Y", "2006", "%m", "01", "%d", "02", "%X", "15:04:05").Replace(format[1:])
	if strings.Contains(text, "%") {
		state.RaiseError("os.date format not known here: %s", format)
	}
	state.Push(lua.LString(clock.Format(text)))
	return 1
}

func value(state *lua.LState, from any) lua.LValue {
	switch typed := from.(type) {
	case bool:
		return lua.LBool(typed)
	case float64:
		return lua.LNumber(typed)
	case string:
		return lua.LString(typed)
	case []any:
		list := state.CreateTable(len(typed), 0)
		for _, item := range typed {
			list.Append(value(state, item))
		}
		return list
	case map[string]any:
		table := state.CreateTable(0, len(typed))
		for key, item := range typed {
			table.RawSetString(key, value(state, item))
		}
		return table
	}
	return lua.LNil
}

func execute(each job) (json.RawMessage, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
	} {
		protected := lua.P{Fn: state.NewFunction(library.open), NRet: 0, Protect: true}
		if err := state.CallByParam(protected, lua.LString(library.name)); err != nil {
			return nil, err
		}
	}
	state.PreloadModule(lua.OsLibName, safeOS)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", value(state, each.Object))
	if err := state.DoString(each.Script); err != nil {
		return nil, err
	}
	returned := state.Get(-1)
	if returned.Type() != lua.LTTable {
		return nil, fmt.Errorf("expected a table, got %s", returned.Type())
	}
	return luajson.Encode(returned)
}

func main() {
	var jobs []job
	if err := json.NewDecoder(os.Stdin).Decode(&jobs); err != nil {
		fmt.Fprintln(os.Stderr, "argolua:", err)
		os.Exit(1)
	}
	outcomes := make([]outcome, 0, len(jobs))
	for _, each := range jobs {
		result, err := execute(each)
		if err != nil {
			outcomes = append(outcomes, outcome{Error: err.Error()})
			continue
		}
		outcomes = append(outcomes, outcome{Result: result})
	}
	if err := json.NewEncoder(os.Stdout).Encode(outcomes); err != nil {
		fmt.Fprintln(os.Stderr, "argolua:", err)
		os.Exit(1)
	}
}
