// go run .: takes webhooks on port 8000 (PORT) into ./inbox (INBOX), signed with WEBHOOK_SECRET.
package main

import (
	"cmp"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

var (
	inbox = cmp.Or(os.Getenv("INBOX"), "inbox")
	done  = filepath.Join(inbox, "done") // a worker of yours moves a file here when it has done what there is to do
	ids   = regexp.MustCompile(`^[\w.-]{1,200}$`)
)

func keep(id string, body []byte) error {
	// The same id is the same event: it has the same file, and one that is done stays done.
	if _, err := os.Stat(filepath.Join(done, id)); err == nil {
		return nil
	}
	file, err := os.CreateTemp(inbox, ".*")
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(body); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return os.Rename(file.Name(), filepath.Join(inbox, id))
}

func receive(answer http.ResponseWriter, request *http.Request) {
	given := request.Header
	id, secret := given.Get("webhook-id"), os.Getenv("WEBHOOK_SECRET")
	body, err := io.ReadAll(http.MaxBytesReader(answer, request.Body, 1_000_000))
	switch {
	case err != nil:
		answer.WriteHeader(http.StatusRequestEntityTooLarge)
	case !ids.MatchString(id) || !IsOurs(secret, id, given.Get("webhook-timestamp"), given.Get("webhook-signature"), body):
		answer.WriteHeader(http.StatusUnauthorized)
	case keep(id, body) != nil:
		answer.WriteHeader(http.StatusServiceUnavailable) // it comes again
	default:
		answer.WriteHeader(http.StatusNoContent) // kept: answer, and work afterwards
	}
}

func main() {
	if err := os.MkdirAll(done, 0o700); err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("POST /", receive)
	server := http.Server{Addr: "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "8000"), ReadTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
