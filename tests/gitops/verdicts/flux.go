package main

import (
	"context"
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// kustomization is the part of a Flux Kustomization that is read here.
type kustomization struct {
	Spec struct {
		HealthCheckExprs []struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			InProgress string `json:"inProgress"`
			Failed     string `json:"failed"`
			Current    string `json:"current"`
		} `json:"healthCheckExprs"`
	} `json:"spec"`
}

// stage is one expression and the status it stands for.
type stage struct {
	status  status.Status
	program cel.Program
}

// expressions are those for DomainTraining, in the order of Flux's RFC 0009.
type expressions struct{ stages []stage }

func readFlux(file string) (*expressions, error) {
	var found kustomization
	if err := readYAML(file, &found); err != nil {
		return nil, err
	}
	checks := found.Spec.HealthCheckExprs
	if len(checks) != 1 || checks[0].Kind != "DomainTraining" {
		return nil, fmt.Errorf("spec.healthCheckExprs must hold DomainTraining alone")
	}
	check, made := checks[0], &expressions{}
	for _, one := range []struct {
		status status.Status
		text   string
	}{
		{status.InProgressStatus, check.InProgress},
		{status.FailedStatus, check.Failed},
		{status.CurrentStatus, check.Current},
	} {
		program, err := compile(one.text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.status, err)
		}
		made.stages = append(made.stages, stage{one.status, program})
	}
	return made, nil
}

// compile parses without checking types, in the environment of github.com/fluxcd/pkg/runtime/cel.
func compile(text string) (cel.Program, error) {
	environment, err := cel.NewEnv(
		cel.HomogeneousAggregateLiterals(),
		cel.EagerlyValidateDeclarations(true),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(),
		ext.Strings(),
		ext.Sets(),
		ext.Encoders(),
	)
	if err != nil {
		return nil, err
	}
	parsed, issues := environment.Parse(text)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	return environment.Program(parsed, cel.EvalOptions(cel.OptOptimize), cel.InterruptCheckFrequency(100))
}

// status is InProgress for a generation that was not observed yet and where no expression holds.
func (e *expressions) status(object *unstructured.Unstructured) (string, error) {
	observed, found, err := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	if err == nil && found && observed != object.GetGeneration() {
		return status.InProgressStatus.String(), nil
	}
	for _, one := range e.stages {
		value, _, err := one.program.ContextEval(context.Background(), object.Object)
		if err != nil {
			return "", fmt.Errorf("%s: %w", one.status, err)
		}
		held, isBool := value.(types.Bool)
		if !isBool {
			return "", fmt.Errorf("%s: gave %v, not true or false", one.status, value)
		}
		if held {
			return one.status.String(), nil
		}
	}
	return status.InProgressStatus.String(), nil
}
