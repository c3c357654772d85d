# gem install puma rack; puma --bind tcp://127.0.0.1:8000 config.ru
# Takes webhooks into ./inbox (INBOX), signed with WEBHOOK_SECRET.
require "fileutils"
require "securerandom"
require_relative "webhooks"

SECRET = ENV.fetch("WEBHOOK_SECRET")
INBOX = ENV.fetch("INBOX", "inbox")
DONE = File.join(INBOX, "done") # a worker of yours moves a file here when it has done what there is to do
FileUtils.mkdir_p(DONE)

def keep(id, body)
  # The same id is the same event: it has the same file, and one that is done stays done.
  return if File.exist?(File.join(DONE, id))

  beside = File.join(INBOX, ".#{SecureRandom.uuid}")
  File.open(beside, "wbx") do |file|
    file.write(body)
    file.fsync
  end
  File.rename(beside, File.join(INBOX, id))
end

run lambda { |request|
  id, timestamp, signature = %w[ID TIMESTAMP SIGNATURE].map { |name| request.fetch("HTTP_WEBHOOK_#{name}", "") }
  body = request["rack.input"].read(1_000_001) || ""
  next [413, {}, []] if body.bytesize > 1_000_000
  next [401, {}, []] unless id.match?(/\A[\w.-]{1,200}\z/) && ours?(SECRET, id, timestamp, signature, body)

  keep(id, body)
  [204, {}, []] # kept: answer, and work afterwards
}
