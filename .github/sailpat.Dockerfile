# The workflow sailpat builds this in a folder with the static programs.
FROM scratch
ARG TARGETARCH
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --chmod=0755 sailpat_linux_${TARGETARCH} /sailpat
USER 65532:65532
ENTRYPOINT ["/sailpat"]
