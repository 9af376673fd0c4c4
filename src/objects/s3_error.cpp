#include "objects/s3_error.h"

namespace penstock::objects {

namespace {

struct Known {
  std::string_view code;
  int status;
  std::string_view message;
};

constexpr Known kKnown[] = {
    {"AccessDenied", 403, "Access Denied"},
    {"AccessControlListNotSupported", 400, "The bucket does not allow ACLs"},
    {"AuthorizationHeaderMalformed", 400, "The authorization header is malformed"},
    {"AuthorizationQueryParametersError", 400, "The query parameters of the signature are malformed"},
    {"BadDigest", 400, "The Content-MD5 or checksum value that you specified did not match what the server received"},
    {"BucketAlreadyExists", 409, "The requested bucket name is not available"},
    {"BucketAlreadyOwnedByYou", 409, "The bucket exists and you own it"},
    {"BucketNotEmpty", 409, "The bucket you tried to delete is not empty"},
    {"EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size"},
    {"EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size"},
    {"ExpiredToken", 400, "The provided token has expired"},
    {"IllegalVersioningConfigurationException", 400, "The versioning configuration is invalid"},
    {"IncompleteBody", 400, "The body has fewer bytes than the Content-Length header says"},
    {"InsufficientStorage", 507, "The disk of the object store is full"},
    {"InternalError", 500, "The server met an internal error. Please try again."},
    {"InvalidAccessKeyId", 403, "The access key that you provided does not exist"},
    {"InvalidArgument", 400, "Invalid argument"},
    {"InvalidBucketAclWithObjectOwnership", 400, "Bucket cannot have ACLs set with its ObjectOwnership setting"},
    {"InvalidBucketName", 400, "The specified bucket is not valid"},
    {"InvalidBucketState", 409, "The request is not valid for the current state of the bucket"},
    {"InvalidDigest", 400, "The Content-MD5 that you specified is not valid"},
    {"InvalidEncryptionAlgorithmError", 400, "The encryption request that you specified is not valid"},
    {"InvalidLocationConstraint", 400, "The specified location constraint is not valid"},
    {"InvalidObjectState", 403, "The operation is not valid for the object's state"},
    {"InvalidPart", 400,
     "One or more of the specified parts could not be found: it was not uploaded, or its ETag does not match"},
    {"InvalidPartOrder", 400, "The list of parts was not in ascending order"},
    {"InvalidPolicyDocument", 400, "The form's policy document is not valid"},
    {"InvalidRange", 416, "The requested range is not satisfiable"},
    {"InvalidRequest", 400, "Invalid request"},
    {"InvalidRetentionPeriod", 400, "The retention period must be a positive integer"},
    {"InvalidStorageClass", 400, "The storage class that you specified is not valid"},
    {"InvalidTag", 400, "The tag provided was not a valid tag"},
    {"InvalidTargetBucketForLogging", 400, "The target bucket for logging does not exist or is not yours"},
    {"InvalidURI", 400, "Couldn't parse the specified URI."},
    {"KeyTooLongError", 400, "Your key is too long"},
    {"MalformedACLError", 400, "The XML that you provided is not well formed or not an access control policy"},
    {"MalformedPOSTRequest", 400, "The body of your POST request is not well-formed multipart/form-data"},
    {"MalformedPolicy", 400, "The policy is not valid"},
    {"MalformedXML", 400, "The XML that you provided is not well formed or does not fit the schema"},
    {"MaxMessageLengthExceeded", 400, "Your request was too big"},
    {"MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size"},
    {"MethodNotAllowed", 405, "The specified method is not allowed against this resource"},
    {"MissingContentLength", 411, "You must provide the Content-Length HTTP header"},
    {"MissingSecurityHeader", 400, "Your request is missing a required header"},
    {"NoSuchBucket", 404, "The specified bucket does not exist"},
    {"NoSuchBucketPolicy", 404, "The bucket policy does not exist"},
    {"NoSuchCORSConfiguration", 404, "The CORS configuration does not exist"},
    {"NoSuchConfiguration", 404, "The specified configuration does not exist"},
    {"NoSuchKey", 404, "The specified key does not exist."},
    {"NoSuchLifecycleConfiguration", 404, "The lifecycle configuration does not exist"},
    {"NoSuchObjectLockConfiguration", 404, "The specified object does not have an object lock configuration"},
    {"NoSuchPublicAccessBlockConfiguration", 404, "The public access block configuration was not found"},
    {"NoSuchTagSet", 404, "There is no tag set associated with the bucket"},
    {"NoSuchUpload", 404, "The specified multipart upload does not exist"},
    {"NoSuchVersion", 404, "The specified version does not exist"},
    {"NoSuchWebsiteConfiguration", 404, "The specified bucket does not have a website configuration"},
    {"NotImplemented", 501, "A header or query that you provided asks for what is not implemented"},
    {"ObjectLockConfigurationNotFoundError", 404, "Object lock configuration does not exist for this bucket"},
    {"OperationAborted", 409, "A conflicting operation is in progress against this resource"},
    {"OwnershipControlsNotFoundError", 404, "The bucket ownership controls were not found"},
    {"PreconditionFailed", 412, "At least one of the preconditions that you specified did not hold"},
    {"ReplicationConfigurationNotFoundError", 404, "The replication configuration was not found"},
    {"RequestTimeTooSkewed", 403, "The difference between the request time and the server's time is too large"},
    {"RequestTimeout", 400, "Your socket connection to the server was not read from or written to in time"},
    {"ServerSideEncryptionConfigurationNotFoundError", 404, "The server side encryption configuration was not found"},
    {"ServiceUnavailable", 503, "Please reduce your request rate"},
    {"SignatureDoesNotMatch", 403, "The request signature that was calculated does not match the one you provided"},
    {"SlowDown", 503, "Please reduce your request rate"},
    {"TooManyBuckets", 400, "You have attempted to create more buckets than allowed"},
    {"UnresolvableGrantByEmailAddress", 400, "The e-mail address that you provided does not match any account"},
    {"XAmzContentSHA256Mismatch", 400, "The provided x-amz-content-sha256 header does not match what was computed"},
};

const Known& find_known(std::string_view code) {
  for (const Known& known : kKnown) {
    if (known.code == code) return known;
  }
  static constexpr Known kOther{"InternalError", 500, ""};
  return kOther;
}

Code code_for(int status) {
  switch (status) {
    case 403: return Code::PermissionDenied;
    case 404: return Code::NotFound;
    case 409: return Code::Aborted;
    case 412: return Code::FailedPrecondition;
    case 416: return Code::OutOfRange;
    case 501: return Code::Unimplemented;
    case 503: return Code::Unavailable;
    case 500: return Code::Internal;
    default: return Code::InvalidArgument;
  }
}

}  // namespace

S3Error::S3Error(std::string_view code, std::string message)
    : Error(code_for(find_known(code).status),
            message.empty() ? std::string(find_known(code).message) : std::move(message)),
      s3_code_(code),
      status_(find_known(code).status) {}

}  // namespace penstock::objects
