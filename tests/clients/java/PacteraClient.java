import java.math.BigInteger;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A relying party by the samples of the Pactera guide: the challenge of 4.2, the verification of 4.3, the at_hash of
 * 4.4, the token requests of 3.2 and 3.7. Written anew where the print does not compile, and with a verification that
 * fails when it fails.
 *
 * <p>challenge VERIFIER | at-hash ACCESS_TOKEN | run BASE CLIENT_ID SECRET CODE VERIFIER REDIRECT_URI ISSUER NONCE
 */
public class PacteraClient {
  private static final HttpClient HTTP = HttpClient.newHttpClient();

  public static void main(String[] arguments) throws Exception {
    switch (arguments[0]) {
      case "challenge" -> System.out.println(createChallenge(arguments[1]));
      case "at-hash" -> System.out.println(createHash(arguments[1]));
      case "run" -> run(arguments);
      default -> throw new IllegalArgumentException(arguments[0]);
    }
  }

  /** 4.2: the hexadecimal text of the digest is what is encoded. */
  static String createChallenge(String verifier) throws Exception {
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    String hex = bytesToHex(digest.digest(verifier.getBytes(StandardCharsets.UTF_8)));
    return encode(hex.getBytes(StandardCharsets.US_ASCII));
  }

  static String bytesToHex(byte[] hash) {
    StringBuilder text = new StringBuilder(2 * hash.length);
    for (byte each : hash) {
      String hex = Integer.toHexString(0xff & each);
      if (hex.length() == 1) {
        text.append('0');
      }
      text.append(hex);
    }
    return text.toString();
  }

  /** 4.4: a BigInteger writes no leading zeros. */
  static String createHash(String accessToken) throws Exception {
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    byte[] hash = digest.digest(accessToken.getBytes(StandardCharsets.UTF_8));
    String binary = new BigInteger(1, hash).toString(2);
    return encode(binary.substring(0, 128).getBytes(StandardCharsets.US_ASCII));
  }

  /** 4.3: the key is the Base64 text of /keys/{kid}. */
  static boolean verify(String signed, String signature, String publicKey) throws Exception {
    byte[] der = Base64.getDecoder().decode(publicKey);
    Signature check = Signature.getInstance("SHA256withRSA");
    check.initVerify(KeyFactory.getInstance("RSA").generatePublic(new X509EncodedKeySpec(der)));
    check.update(signed.getBytes(StandardCharsets.US_ASCII));
    return check.verify(Base64.getUrlDecoder().decode(signature));
  }

  static void run(String[] a) throws Exception {
    String base = a[1], clientId = a[2], secret = a[3], issuer = a[7], nonce = a[8];
    String form = "grant_type=authorization_code&client_id=" + enc(clientId) + "&code=" + enc(a[4])
        + "&code_verifier=" + enc(a[5]) + "&redirect_uri=" + enc(a[6]);
    String basic = "Basic " + Base64.getEncoder().encodeToString(secret.getBytes(StandardCharsets.UTF_8));
    String tokens = post(base + "/oidc/token", form, basic);
    check(base, tokens, clientId, issuer, nonce);
    HttpRequest request = HttpRequest.newBuilder(URI.create(base + "/oidc/userinfo"))
        .header("Authorization", "Bearer " + member(tokens, "access_token")).build();
    System.out.println("userinfo " + send(request));
    String refresh = "grant_type=refresh_token&client_id=" + enc(clientId)
        + "&refresh_token=" + enc(member(tokens, "refresh_token"));
    check(base, post(base + "/oidc/token", refresh, basic), clientId, issuer, null);
    System.out.println("refreshed");
  }

  /** The checks of 3.2 that a relying party has to make. */
  static void check(String base, String tokens, String clientId, String issuer, String nonce) throws Exception {
    String[] parts = member(tokens, "id_token").split("\\.");
    String header = decode(parts[0]), payload = decode(parts[1]);
    HttpRequest request = HttpRequest.newBuilder(URI.create(base + "/keys/" + member(header, "kid"))).build();
    String key = member(send(request), "publicKey");
    demand(verify(parts[0] + "." + parts[1], parts[2], key), "signature");
    demand(!verify(parts[0] + "." + parts[1] + "x", parts[2], key), "a changed text has a bad signature");
    demand(member(payload, "iss").equals(issuer), "iss");
    demand(member(payload, "aud").equals(clientId), "aud");
    demand(nonce == null || member(payload, "nonce").equals(nonce), "nonce");
    demand(member(payload, "at_hash").equals(createHash(member(tokens, "access_token"))), "at_hash");
    demand(Long.parseLong(number(payload, "exp")) > System.currentTimeMillis() / 1000, "exp");
    demand(Integer.parseInt(member(tokens, "expires_in")) == 3600, "expires_in is a string");
    System.out.println("verified");
  }

  private static void demand(boolean holds, String what) {
    if (!holds) {
      throw new IllegalStateException(what);
    }
  }

  private static String post(String url, String form, String authorization) throws Exception {
    return send(HttpRequest.newBuilder(URI.create(url))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Authorization", authorization)
        .POST(HttpRequest.BodyPublishers.ofString(form)).build());
  }

  private static String send(HttpRequest request) throws Exception {
    HttpResponse<String> response = HTTP.send(request, HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8));
    if (response.statusCode() != 200) {
      throw new IllegalStateException(response.statusCode() + " " + response.body());
    }
    return response.body();
  }

  private static String member(String json, String name) {
    return found(json, "\"" + name + "\"\\s*:\\s*\"([^\"]*)\"");
  }

  private static String number(String json, String name) {
    return found(json, "\"" + name + "\"\\s*:\\s*([0-9]+)");
  }

  private static String found(String json, String pattern) {
    Matcher matcher = Pattern.compile(pattern).matcher(json);
    if (!matcher.find()) {
      throw new IllegalStateException("no " + pattern);
    }
    return matcher.group(1);
  }

  private static String encode(byte[] bytes) {
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }

  private static String decode(String text) {
    return new String(Base64.getUrlDecoder().decode(text), StandardCharsets.UTF_8);
  }

  private static String enc(String value) {
    return URLEncoder.encode(value, StandardCharsets.UTF_8);
  }
}
