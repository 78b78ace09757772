// external-dns's plan, TXT registry and RFC 2136 provider. For each line on standard input, which has the entries of
// all DNSEndpoints, it does what the loop of external-dns does once, and prints what it changed.
//
// Usage: packages HOST PORT ZONE KEY SECRET POLICY
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/external-dns/endpoint"
	"sigs.k8s.io/external-dns/plan"
	"sigs.k8s.io/external-dns/provider/rfc2136"
	"sigs.k8s.io/external-dns/registry"
)

// The default of --managed-record-types.
var managed = []string{endpoint.RecordTypeA, endpoint.RecordTypeAAAA, endpoint.RecordTypeCNAME}

type entry struct {
	*endpoint.Endpoint
	// As the source "crd" sets it: crd/NAMESPACE/NAME.
	Resource string `json:"resource"`
}

type answer struct {
	Changes []string `json:"changes"`
	Error   string   `json:"error"`
}

type loop struct {
	registry registry.Registry
	policy   plan.Policy
	filter   endpoint.DomainFilter
}

// synchronize follows RunOnce in controller/controller.go.
func (l loop) synchronize(ctx context.Context, wanted []*endpoint.Endpoint) ([]string, error) {
	records, err := l.registry.Records(ctx)
	if err != nil {
		return nil, err
	}
	wanted, err = l.registry.AdjustEndpoints(wanted)
	if err != nil {
		return nil, err
	}
	found := (&plan.Plan{
		Policies:       []plan.Policy{l.policy},
		Current:        records,
		Desired:        wanted,
		DomainFilter:   endpoint.MatchAllDomainFilters{l.filter, l.registry.GetDomainFilter()},
		ManagedRecords: managed,
		OwnerID:        l.registry.OwnerID(),
	}).Calculate()
	changes := append(texts("create", found.Changes.Create), texts("update", found.Changes.UpdateNew)...)
	changes = append(changes, texts("delete", found.Changes.Delete)...)
	if found.Changes.HasChanges() {
		err = l.registry.ApplyChanges(ctx, found.Changes)
	}
	return changes, err
}

func texts(verb string, endpoints []*endpoint.Endpoint) []string {
	out := []string{}
	for _, e := range endpoints {
		out = append(out, fmt.Sprintf("%s %s %v", verb, e.DNSName, e.Targets))
	}
	return out
}

// wanted leaves out what the source "crd" leaves out (source/crd.go), and labels the rest as it does.
func wanted(entries []entry) []*endpoint.Endpoint {
	out := []*endpoint.Endpoint{}
	for _, e := range entries {
		illegal := len(e.Targets) == 0
		for _, target := range e.Targets {
			illegal = illegal || strings.HasSuffix(target, ".")
		}
		if illegal {
			continue
		}
		if e.Labels == nil {
			e.Labels = endpoint.NewLabels()
		}
		e.Labels[endpoint.ResourceLabelKey] = e.Resource
		out = append(out, e.Endpoint)
	}
	return out
}

func run(line []byte, l loop) answer {
	var entries []entry
	if err := json.Unmarshal(line, &entries); err != nil {
		return answer{Error: err.Error()}
	}
	changes, err := l.synchronize(context.Background(), wanted(entries))
	if err != nil {
		return answer{Changes: changes, Error: err.Error()}
	}
	return answer{Changes: changes}
}

func main() {
	host, zone, key, secret, policy := os.Args[1], os.Args[3], os.Args[4], os.Args[5], os.Args[6]
	port, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	filter := endpoint.NewDomainFilter([]string{zone})
	made, err := rfc2136.NewRfc2136Provider(host, port, []string{zone}, false, key, secret, "hmac-sha256", true,
		filter, false, time.Duration(0), false, false, "", "", "", 50, rfc2136.TLSConfig{}, nil)
	if err != nil {
		log.Fatal(err)
	}
	kept, err := registry.NewTXTRegistry(made, "", "", "sandbox", 0, "", managed, nil, false, nil)
	if err != nil {
		log.Fatal(err)
	}
	l := loop{kept, plan.Policies[policy], filter}
	output := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := output.Encode(run(lines.Bytes(), l)); err != nil {
			log.Fatal(err)
		}
	}
}
