require_relative "snippet"

$stdin.each_line(chomp: true) do |line|
  *texts, body = line.split("\t", -1).map { |each| each.unpack1("m") }
  puts ours?(*texts.map { |each| each.force_encoding("UTF-8") }, body) == true
end
