// Lines of base64, separated by tabs: secret, id, time, signatures, body. Prints `yes`, `no`, or `cannot`.
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		given := []string{}
		for _, each := range strings.Split(lines.Text(), "\t") {
			text, _ := base64.StdEncoding.DecodeString(each)
			given = append(given, string(text))
		}
		webhook, err := standardwebhooks.NewWebhook(given[0])
		if err != nil {
			fmt.Println("cannot")
			continue
		}
		headers := http.Header{}
		headers.Set("webhook-id", given[1])
		headers.Set("webhook-timestamp", given[2])
		headers.Set("webhook-signature", given[3])
		if webhook.Verify([]byte(given[4]), headers) != nil {
			fmt.Println("no")
		} else {
			fmt.Println("yes")
		}
	}
}
