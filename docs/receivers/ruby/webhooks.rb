require "openssl"

def ours?(secret, webhook_id, timestamp, signatures, body)
  return false unless timestamp.match?(/\A[0-9]+\z/) && (Time.now.to_i - timestamp.to_i).abs <= 300

  key = secret.start_with?("whsec_") ? secret.delete_prefix("whsec_").unpack1("m") : secret
  signed = "#{webhook_id}.#{timestamp}.".b + body.b
  expected = "v1," + [OpenSSL::HMAC.digest("SHA256", key, signed)].pack("m0")
  signatures.split(" ").any? { |each| OpenSSL.secure_compare(expected, each) }
end
