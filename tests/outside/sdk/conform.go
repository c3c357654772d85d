package main

import (
	"context"
	"encoding/json"
	"os"
	"sort"
	"strings"
	"time"

	sdk "trackly.example/trackly/sdk"
)

func client(key string) *sdk.APIClient {
	configuration := sdk.NewConfiguration()
	configuration.Servers = sdk.ServerConfigurations{{URL: os.Getenv("TRACKLY_URL")}}
	configuration.AddDefaultHeader("X-Api-Key", key)
	return sdk.NewAPIClient(configuration)
}

func check(err error) {
	if err != nil {
		if failed, found := err.(*sdk.GenericOpenAPIError); found {
			println(string(failed.Body()))
		}
		panic(err)
	}
}

func statusOf(status int, err error) []any {
	var body struct{ Code string }
	check(json.Unmarshal(err.(*sdk.GenericOpenAPIError).Body(), &body))
	return []any{status, body.Code}
}

func main() {
	nobody, mine := context.Background(), client(os.Getenv("TRACKLY_KEY"))
	account, _, err := mine.AccountAPI.GetAccount(nobody).Execute()
	check(err)
	lists := []string{}
	for _, each := range account.Lists {
		lists = append(lists, each.Number)
	}
	message := sdk.NewMessage("order-4711", "infobip", "ib-1", "+18005551234", "+15551230001")
	message.SetPartCount(1)
	message.SetUniqueArgs(map[string]string{"order": "ü-7"})
	message.SetSentAt(time.Date(2026, 11, 20, 10, 15, 0, 0, time.UTC))
	batch := *sdk.NewMessages([]sdk.Message{*message})
	registered, _, err := mine.SendingAPI.Register(nobody).Messages(batch).IdempotencyKey("batch-1").Execute()
	check(err)
	question := *sdk.NewQuestion("+18005551234", []string{"+15551230001", "+15551230002"})
	answers, _, err := mine.SendingAPI.Check(nobody).Question(question).Execute()
	check(err)
	told := []any{}
	for _, each := range answers.Contacts {
		var reason any
		if text, found := each.GetReasonOk(); found && text != nil {
			reason = *text
		}
		told = append(told, []any{each.Number, each.MayBeTexted, reason})
	}
	wanted := *sdk.NewEndpointRequest("https://sdk.example.com/trackly", "sdk")
	wanted.SetEvents([]string{"reply"})
	made, _, err := mine.WebhooksAPI.CreateEndpoint(nobody).EndpointRequest(wanted).Execute()
	check(err)
	endpoints, _, err := mine.WebhooksAPI.GetEndpoints(nobody).Execute()
	check(err)
	ids := []string{}
	for _, each := range endpoints.Data {
		ids = append(ids, each.Id)
	}
	sort.Strings(ids)
	var limit any
	if number, found := made.Endpoint.GetRateLimitOk(); found && number != nil {
		limit = *number
	}
	_, missing, missingErr := mine.WebhooksAPI.GetEndpoint(nobody, "nobody").Execute()
	_, wrong, wrongErr := client("trk_wrong").AccountAPI.GetAccount(nobody).Execute()
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"account":          []any{account.Id, lists},
		"registered":       registered.Accepted,
		"answers":          told,
		"made":             []any{made.Endpoint.Id, strings.HasPrefix(made.GetSecret(), "whsec_"), limit},
		"endpoints":        ids,
		"no such endpoint": statusOf(missing.StatusCode, missingErr),
		"wrong key":        statusOf(wrong.StatusCode, wrongErr),
	}))
}
