#!/usr/bin/env bash
# A media type that ends in "+json" is JSON (RFC 6839), as application/cloudevents+json. gin 1.12.0 knows JSON by the name
# application/json alone: `ShouldBind` and `Bind` read every type that they do not know as a form. There is no form in the
# body, which is no error: the struct stays empty, and the handler answers 200 to an event that it has not read.
#
# Seen: application/json: id "evt_1"; application/cloudevents+json: no error, id "", status 200; `ShouldBindJSON`: "evt_1".
# What to do: `ShouldBindJSON`, which does not ask for the type; `binding:"required"` on fields that must be there.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
export GOPATH="$PWD/go" GOCACHE="$PWD/cache" GOFLAGS=-modcacherw
mkdir seen
cd seen
cat > seen.go <<'GO'
package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/gin-gonic/gin"
)

type event struct {
	ID string `json:"id"`
}

func byGin(bind func(*gin.Context, any) error) http.Handler {
	server := gin.New()
	server.POST("/", func(context *gin.Context) {
		var read event
		if err := bind(context, &read); err != nil {
			context.String(400, err.Error())
			return
		}
		context.String(200, "id %q", read.ID)
	})
	return server
}

func main() {
	gin.SetMode(gin.ReleaseMode)
	servers := []struct {
		name   string
		server http.Handler
	}{
		{"ShouldBind", byGin((*gin.Context).ShouldBind)},
		{"ShouldBindJSON", byGin((*gin.Context).ShouldBindJSON)},
	}
	for _, each := range servers {
		fmt.Print(each.name)
		for _, kind := range []string{"application/json", "application/cloudevents+json"} {
			request := httptest.NewRequest("POST", "/", strings.NewReader(`{"id":"evt_1"}`))
			request.Header.Set("Content-Type", kind)
			answer := httptest.NewRecorder()
			each.server.ServeHTTP(answer, request)
			fmt.Printf(" | %d %s", answer.Code, answer.Body)
		}
		fmt.Println()
	}
}
GO
go mod init seen > /dev/null 2>&1
go get github.com/gin-gonic/gin@v1.12.0 > /dev/null 2>&1
seen=$(go run .)
echo "$seen"
[ "$seen" = 'ShouldBind | 200 id "evt_1" | 200 id ""
ShouldBindJSON | 200 id "evt_1" | 200 id "evt_1"' ]
