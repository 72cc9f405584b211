// Command verdicts tells what Argo CD, Flux and kstatus say about recorded DomainTrainings.
//
// Usage: verdicts HEALTH_LUA FLUX_KUSTOMIZATION STATE...
//
// It prints one JSON array, with an element for each STATE file in the order given.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/yaml"
)

// verdict is what each tool says about one state.
type verdict struct {
	File    string `json:"file"`
	Argo    health `json:"argo"`
	Flux    string `json:"flux"`
	Kstatus string `json:"kstatus"`
}

func main() {
	if len(os.Args) < 3 {
		fail(fmt.Errorf("usage: verdicts HEALTH_LUA FLUX_KUSTOMIZATION STATE"))
	}
	said, err := verdicts(os.Args[1], os.Args[2], os.Args[3:])
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func verdicts(luaFile, fluxFile string, files []string) ([]verdict, error) {
	script, err := os.ReadFile(luaFile)
	if err != nil {
		return nil, err
	}
	flux, err := readFlux(fluxFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fluxFile, err)
	}
	said := []verdict{}
	for _, file := range files {
		one, err := judge(file, string(script), flux)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		said = append(said, one)
	}
	return said, nil
}

func judge(file, script string, flux *expressions) (verdict, error) {
	object := &unstructured.Unstructured{}
	if err := readYAML(file, object); err != nil {
		return verdict{}, err
	}
	argo, err := argoHealth(object, script)
	if err != nil {
		return verdict{}, fmt.Errorf("Lua: %w", err)
	}
	flow, err := flux.status(object)
	if err != nil {
		return verdict{}, fmt.Errorf("CEL: %w", err)
	}
	generic, err := status.Compute(object)
	if err != nil {
		return verdict{}, fmt.Errorf("kstatus: %w", err)
	}
	return verdict{File: file, Argo: argo, Flux: flow, Kstatus: generic.Status.String()}, nil
}

func readYAML(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return yaml.Unmarshal(text, into)
}
